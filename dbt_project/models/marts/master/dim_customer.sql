with

customers as (

    select * from {{ ref('stg_customer') }}
    where is_current and not is_deleted

),

final as (

    select
        customer_id,
        city,
        country,
        segment
    from customers

)

select * from final
