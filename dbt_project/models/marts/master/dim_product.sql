with

products as (

    select * from {{ ref('stg_product') }}
    where is_current and not is_deleted

),

final as (

    select
        product_id,
        product_name,
        category,
        unit_cost,
        list_price,
        cast(list_price - unit_cost as decimal(10, 2)) as list_margin,
        sold_from,
        sold_to
    from products

)

select * from final
