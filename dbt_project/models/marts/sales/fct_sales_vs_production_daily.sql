with

sales as (

    select * from {{ ref('fct_sales_daily') }}
    where {{ in_dates('date_day') }}

),

production as (

    select
        date_day,
        product_id,
        sum(good_units) as good_units
    from {{ ref('fct_production_daily') }}
    where {{ in_dates('date_day') }}
    group by date_day, product_id

),

joined as (

    select
        coalesce(sales.date_day, production.date_day) as date_day,
        coalesce(sales.product_id, production.product_id) as product_id,
        coalesce(sales.units_sold, 0) as units_sold,
        coalesce(production.good_units, 0) as units_produced
    from sales
    full outer join production
        on
            sales.date_day = production.date_day
            and sales.product_id = production.product_id

),

final as (

    select
        *,
        units_produced - units_sold as stock_change
    from joined

)

select * from final
