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
        sold_from,
        sold_to,
        valid_from,
        valid_to,
        is_current,
        is_deleted
    from source

)

select * from renamed
