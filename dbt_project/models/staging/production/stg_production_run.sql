with

source as (

    select * from {{ source('silver', 'production_run') }}

),

renamed as (

    select
        run_id,
        machine_id,
        product_id,
        shift,
        planned_units,
        produced_units,
        scrap_units,
        produced_units - scrap_units as good_units,
        energy_kwh,
        started_at,
        ended_at,
        run_date as date_day
    from source

)

select * from renamed
