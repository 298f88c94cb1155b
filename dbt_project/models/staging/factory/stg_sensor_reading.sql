with

source as (

    select * from {{ source('silver', 'sensor_reading') }}

),

renamed as (

    select
        reading_id,
        machine_id,
        metric,
        -- Exact, so that a mean does not depend on the order in which the readings are added up.
        cast(value as decimal(18, 6)) as reading_value,
        event_time as read_at,
        event_date as date_day
    from source

)

select * from renamed
