with

machines as (

    select * from {{ ref('stg_machine') }}

),

final as (

    select
        machine_id,
        line,
        model,
        temperature_max,
        vibration_max,
        pressure_min,
        pressure_max,
        installed_on,
        last_service_on
    from machines

)

select * from final
