with

source as (

    select * from {{ source('silver', 'web_click') }}

),

renamed as (

    select
        click_id,
        visitor_id,
        page,
        action,
        product_id,
        order_id,
        event_time as clicked_at,
        event_date as date_day
    from source

)

select * from renamed
