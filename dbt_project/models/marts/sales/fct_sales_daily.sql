with

lines as (

    select * from {{ ref('int_order_lines') }}

),

daily as (

    select
        date_day,
        product_id,
        count(*) as order_lines,
        count(distinct order_id) as orders,
        sum(quantity) as units_sold,
        count_if(is_unlisted) as unlisted_lines,
        cast(sum(list_revenue) as decimal(18, 2)) as list_revenue,
        cast(sum(gross_revenue) as decimal(18, 2)) as gross_revenue,
        cast(sum(discount) as decimal(18, 2)) as discount,
        cast(sum(net_revenue) as decimal(18, 2)) as net_revenue,
        cast(sum(cost) as decimal(18, 2)) as cost
    from lines
    group by date_day, product_id

),

final as (

    select
        *,
        cast(net_revenue - cost as decimal(18, 2)) as margin,
        -- Wide enough for one cent of revenue and the greatest cost that its type holds.
        cast((net_revenue - cost) / nullif(net_revenue, 0) as decimal(22, 4)) as margin_rate
    from daily

)

select * from final
