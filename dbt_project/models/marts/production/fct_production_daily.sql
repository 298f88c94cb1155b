with

runs as (

    select * from {{ ref('stg_production_run') }}
    where {{ in_dates('date_day') }}

),

daily as (

    select
        date_day,
        product_id,
        machine_id,
        count(*) as runs,
        sum(planned_units) as planned_units,
        sum(produced_units) as produced_units,
        sum(scrap_units) as scrap_units,
        sum(good_units) as good_units
    from runs
    group by date_day, product_id, machine_id

),

final as (

    select
        *,
        produced_units - planned_units as units_against_plan,
        cast(produced_units / nullif(planned_units, 0) as decimal(18, 4)) as plan_attainment_rate,
        cast(scrap_units / nullif(produced_units, 0) as decimal(9, 4)) as scrap_rate
    from daily

)

select * from final
