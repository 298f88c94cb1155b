with

readings as (

    select * from {{ ref('stg_sensor_reading') }}
    where {{ in_dates('date_day') }}

),

machines as (

    select * from {{ ref('stg_machine') }}

),

windowed as (

    select
        date_day,
        window(read_at, '5 minutes').start as window_start,
        machine_id,
        metric,
        count(*) as readings,
        cast(avg(reading_value) as double) as mean_value,
        cast(min(reading_value) as double) as min_value,
        cast(max(reading_value) as double) as max_value
    from readings
    group by date_day, window(read_at, '5 minutes'), machine_id, metric

),

limited as (

    select
        windowed.*,
        case when windowed.metric = 'pressure' then machines.pressure_min end as lower_limit,
        case windowed.metric
            when 'temperature' then machines.temperature_max
            when 'vibration' then machines.vibration_max
            when 'pressure' then machines.pressure_max
        end as upper_limit
    from windowed
    left join machines on windowed.machine_id = machines.machine_id

),

final as (

    select
        *,
        coalesce(mean_value > upper_limit or mean_value < lower_limit, false) as is_anomaly
    from limited

)

select * from final
