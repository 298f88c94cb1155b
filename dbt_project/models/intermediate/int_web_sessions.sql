with

clicks as (

    select * from {{ ref('stg_web_click') }}
    where {{ in_dates('date_day') }}

),

with_previous as (

    select
        *,
        -- By day: a session ends at midnight (UTC), so that a day's sessions follow from that day's clicks alone.
        lag(clicked_at) over (partition by date_day, visitor_id order by clicked_at, click_id) as previous_clicked_at
    from clicks

),

numbered as (

    select
        *,
        sum(case when clicked_at <= previous_clicked_at + interval 30 minutes then 0 else 1 end)
            over (partition by date_day, visitor_id order by clicked_at, click_id) as session_number
    from with_previous

),

sessions as (

    select
        date_day,
        visitor_id,
        session_number,
        min(clicked_at) as started_at,
        max(clicked_at) as ended_at,
        count(*) as clicks,
        bool_or(action = 'add_to_cart') as has_cart,
        bool_or(action = 'checkout') as has_checkout,
        bool_or(action = 'purchase') as is_converted
    from numbered
    group by date_day, visitor_id, session_number

)

select * from sessions
