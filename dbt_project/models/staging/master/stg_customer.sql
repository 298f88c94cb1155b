with

source as (

    select * from {{ source('silver', 'customer') }}

),

renamed as (

    select
        customer_id,
        city,
        country,
        segment,
        valid_from,
        valid_to,
        is_current,
        is_deleted
    from source

)

select * from renamed
