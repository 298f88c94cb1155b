with

lines as (

    select * from {{ ref('int_order_lines') }}

),

final as (

    select
        date_day,
        country,
        segment,
        count(*) as order_lines,
        count(distinct order_id) as orders,
        sum(quantity) as units_sold,
        cast(sum(net_revenue) as decimal(18, 2)) as net_revenue,
        cast(sum(net_revenue) - sum(cost) as decimal(18, 2)) as margin
    from lines
    group by date_day, country, segment

)

select * from final
