"""The Dagster code location: every asset, check, sensor and resource, built from the contracts and the dbt project.

Loading it touches neither Spark nor the network. Not here: anything else.
"""

from __future__ import annotations

import dagster as dg

from lakehouse.alerts.sensor import alert_sensor
from lakehouse.automation import automation_sensor, follow_silver, full_look, source_sensors
from lakehouse.bronze.assets import bronze_asset
from lakehouse.contracts.loader import load_contracts
from lakehouse.gold.assets import gold_assets
from lakehouse.gold.marts import lake_marts
from lakehouse.maintenance.job import maintenance_job, maintenance_schedule
from lakehouse.maintenance.plan import kept_tables
from lakehouse.resources import RESOURCES
from lakehouse.settings import settings
from lakehouse.silver.assets import silver_asset


@dg.definitions
def defs() -> dg.Definitions:
    """Everything, from the contracts in the settings' folder."""
    contracts = load_contracts(settings().contracts)
    marts = lake_marts(contracts).models
    maintenance = maintenance_job(kept_tables(contracts, [(m.table, m.sources) for m in marts if m.materialized != "view"]))
    return dg.Definitions(
        assets=[
            *(bronze_asset(c) for c in contracts.values()),
            *(silver_asset(c) for c in contracts.values()),
            *gold_assets(contracts, follow_silver),
        ],
        jobs=[maintenance],
        schedules=[maintenance_schedule(maintenance), full_look(contracts, marts)],
        sensors=[*source_sensors(contracts, marts), automation_sensor(), alert_sensor(contracts)],
        resources=RESOURCES,
        # Spark is the parallel engine; a process for each step would only cost seconds.
        executor=dg.in_process_executor,
    )
