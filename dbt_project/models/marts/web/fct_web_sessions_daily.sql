with

sessions as (

    select * from {{ ref('fct_web_sessions') }}
    where {{ in_dates('date_day') }}

),

daily as (

    select
        date_day,
        count(*) as sessions,
        count(distinct visitor_id) as visitors,
        sum(clicks) as clicks,
        count_if(clicks = 1) as bounced_sessions,
        count_if(has_cart) as cart_sessions,
        count_if(has_checkout) as checkout_sessions,
        count_if(is_converted) as converted_sessions,
        sum(timestampdiff(second, started_at, ended_at)) as session_seconds
    from sessions
    group by date_day

),

final as (

    select
        *,
        cast(converted_sessions / sessions as decimal(9, 4)) as conversion_rate
    from daily

)

select * from final
