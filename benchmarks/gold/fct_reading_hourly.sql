with

readings as (

    select * from {{ source('silver', 'reading') }}
    where {{ in_dates('event_date') }}

),

final as (

    select
        event_date as date_day,
        date_trunc('hour', event_time) as hour_start,
        device_id,
        metric,
        count(*) as readings,
        cast(avg(value) as double) as mean_value,
        cast(max(value) as double) as max_value
    from readings
    group by event_date, date_trunc('hour', event_time), device_id, metric

)

select * from final
