with

source as (

    select * from {{ source('silver', 'customer') }}

),

renamed as (

    select
        customer_id,
        city,
        country,
        segment
    from source

)

select * from renamed
