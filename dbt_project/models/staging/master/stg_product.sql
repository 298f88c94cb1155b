with

source as (

    select * from {{ source('silver', 'product') }}

),

renamed as (

    select
        product_id,
        name as product_name,
        category,
        unit_cost,
        list_price,
        valid_from,
        valid_to
    from source

)

select * from renamed
