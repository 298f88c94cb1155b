with

source as (

    select * from {{ source('silver', 'machine') }}

),

renamed as (

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
    from source

)

select * from renamed
