with

lines as (

    select * from {{ ref('stg_sales_order_line') }}
    where
        {{ in_dates('date_day') }}
        and status != 'cancelled'

),

products as (

    select * from {{ ref('stg_product') }}

),

customers as (

    select * from {{ ref('stg_customer') }}

),

joined as (

    select
        lines.date_day,
        lines.order_id,
        lines.line_no,
        lines.product_id,
        lines.quantity,
        lines.gross_revenue,
        lines.discount,
        lines.net_revenue,
        lines.cost,
        products.product_id is null as is_unlisted,
        cast(lines.quantity * coalesce(products.list_price, 0) as decimal(18, 2)) as list_revenue,
        coalesce(customers.country, 'unknown') as country,
        coalesce(customers.segment, 'unknown') as segment
    from lines
    left join products
        on
            lines.product_id = products.product_id
            and {{ as_of('products', 'lines.ordered_at') }}
    left join customers
        on
            lines.customer_id = customers.customer_id
            and {{ as_of('customers', 'lines.ordered_at') }}

)

select * from joined
