with

orders as (

    select * from {{ ref('int_orders') }}

),

daily as (

    select
        date_day,
        count(*) as orders,
        count_if(shipped_lines = lines) as shipped_orders,
        count_if(shipped_lines < lines) as open_orders,
        count_if(is_late) as late_orders
    from orders
    group by date_day

),

final as (

    select
        *,
        cast(late_orders / orders as decimal(9, 4)) as late_order_rate
    from daily

)

select * from final
