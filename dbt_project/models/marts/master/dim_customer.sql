with

customers as (

    select * from {{ ref('stg_customer') }}

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
