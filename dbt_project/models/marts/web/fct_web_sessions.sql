with

clicks as (

    select * from {{ ref('stg_web_click') }}
    where {{ in_dates_around('date_day') }}

),

with_previous as (

    select
        *,
        lag(clicked_at) over (partition by visitor_id order by clicked_at, click_id) as previous_clicked_at
    from clicks

),

with_pause as (

    select
        *,
        coalesce(clicked_at > previous_clicked_at + interval 30 minutes, true) as is_after_pause
    from with_previous

),

with_paused_day as (

    select
        *,
        bool_or(is_after_pause) over (partition by visitor_id, date_day) as is_paused_day
    from with_pause

),

with_start as (

    select
        *,
        -- The second way to begin bounds a session: at the end of a whole day without a pause it is cut.
        is_after_pause
        or (
            cast(previous_clicked_at as date) < date_day
            and not lag(is_paused_day) over (partition by visitor_id order by clicked_at, click_id)
        ) as is_start
    from with_paused_day

),

numbered as (

    select
        *,
        count_if(is_start) over (partition by visitor_id order by clicked_at, click_id) as session_number
    from with_start

),

sessions as (

    select
        min(date_day) as date_day,
        visitor_id,
        min(clicked_at) as started_at,
        max(clicked_at) as ended_at,
        count(*) as clicks,
        bool_or(action = 'add_to_cart') as has_cart,
        bool_or(action = 'checkout') as has_checkout,
        bool_or(action = 'purchase') as is_converted
    from numbered
    group by visitor_id, session_number

),

final as (

    select * from sessions
    where {{ in_dates('date_day') }}

)

select * from final
