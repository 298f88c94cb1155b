with

source as (

    select * from {{ source('silver', 'sales_order_line') }}

),

renamed as (

    select
        order_id,
        line_no,
        customer_id,
        product_id,
        channel,
        status,
        quantity,
        cast(quantity * unit_price as decimal(18, 2)) as gross_revenue,
        cast(coalesce(discount, 0) as decimal(18, 2)) as discount,
        cast(quantity * unit_price - coalesce(discount, 0) as decimal(18, 2)) as net_revenue,
        cast(quantity * unit_cost as decimal(18, 2)) as cost,
        ordered_at,
        promised_date,
        shipped_at,
        order_date as date_day
    from source

)

select * from renamed
