with

lines as (

    select * from {{ ref('stg_sales_order_line') }}
    where
        {{ in_dates('date_day') }}
        and status != 'cancelled'

),

orders as (

    select
        date_day,
        order_id,
        count(*) as lines,
        count(shipped_at) as shipped_lines,
        coalesce(bool_or(cast(shipped_at as date) > promised_date), false) as is_late
    from lines
    group by date_day, order_id

)

select * from orders
