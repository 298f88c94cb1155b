"""One measured piece of work of the platform, in a process of its own; prints what it took as JSON.

`dagster`: an incremental run of the table through Dagster, as a sensor starts it. `rebuild`: Silver again from Bronze. `noop`: a sync with nothing new.
`backfill`: all of the table's days anew, Bronze to quarantine. `gold`: all days of its mart.
`start`: the engine. `reset`: no tables. `parts`: what judging and checking add to reading. `files`: Bronze from many small files, after the listing.
"""

from __future__ import annotations

import json
import os
import sys
import time

import psutil

started = time.perf_counter()


def dagster_run() -> dict[str, float]:
    """Bronze, Silver, quarantine, checks and metadata through Dagster's in-process executor."""
    import dagster as dg

    from lakehouse.automation import run_tags, selection
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.definitions import defs
    from lakehouse.pending import due
    from lakehouse.settings import settings

    contracts = load_contracts(settings().contracts)
    job = defs().resolve_implicit_global_asset_job_def()
    instance = dg.DagsterInstance.get()
    imported = time.perf_counter()
    work = due(contracts.values(), ())
    result = job.execute_in_process(instance=instance, asset_selection=selection(work, contracts, ()), tags=run_tags(work, contracts), raise_on_error=True)
    steps: dict[str, float] = {}
    for entry in instance.all_logs(result.run_id):
        event = entry.dagster_event
        if event and event.event_type_value in ("STEP_START", "STEP_SUCCESS"):
            sign = -1 if event.event_type_value == "STEP_START" else 1
            steps[f"{event.step_key}_s"] = steps.get(f"{event.step_key}_s", 0.0) + sign * entry.timestamp
    return {"imports_s": imported - started, "run_s": time.perf_counter() - imported, **steps}


def backfill_run() -> dict[str, float]:
    """All days of Bronze, Silver and quarantine anew, in one run."""
    return _days_again("bronze/reading", "silver/reading", "quarantine/reading")


def gold_run() -> dict[str, float]:
    """All days of the mart, by dbt."""
    return _days_again("gold/fct_reading_hourly")


def _days_again(*assets: str) -> dict[str, float]:
    import dagster as dg

    from benchmarks.backfill import RANGE
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.definitions import defs
    from lakehouse.engine.metadata import open_table, rows_by_partition
    from lakehouse.settings import settings

    bronze = open_table(load_contracts(settings().contracts)["reading"].bronze)
    assert bronze is not None
    days = sorted(d for d in rows_by_partition(bronze, "_source_date") if d is not None)
    job, instance = defs().resolve_implicit_global_asset_job_def(), dg.DagsterInstance.get()
    tags = dict(zip(RANGE, (days[0].isoformat(), days[-1].isoformat()), strict=True))
    began = time.perf_counter()
    keys = [dg.AssetKey(asset.split("/")) for asset in assets]
    job.execute_in_process(instance=instance, asset_selection=keys, tags=tags, raise_on_error=True)
    return {"run_s": time.perf_counter() - began, "days": len(days)}


def rebuild_run() -> dict[str, float]:
    """A rebuild of all of Silver from Bronze."""
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.engine.session import connect
    from lakehouse.settings import settings
    from lakehouse.silver.build import rebuild

    contract = load_contracts(settings().contracts)["reading"]
    spark = connect()
    before = time.perf_counter()
    rebuild(spark, contract, None, "bench")
    return {"rebuild_s": time.perf_counter() - before}


def noop_run() -> dict[str, float]:
    """What `lakehouse sync` does when nothing is new."""
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.gold.project import manifest_path, models, served
    from lakehouse.pending import due
    from lakehouse.settings import settings

    imported = time.perf_counter()
    contracts = load_contracts(settings().contracts)
    manifest = manifest_path()
    work = due(contracts.values(), served(models(manifest, 0.0), contracts))
    if not work.nothing:
        raise SystemExit(f"there is something new: {work}")
    return {"imports_s": imported - started, "noop_s": time.perf_counter() - imported}


def start_run() -> dict[str, float]:
    """From the start of this process, without an engine, to an answered query."""
    from lakehouse.engine.session import connect

    connect().sql("create database if not exists started").collect()
    return {"start_s": time.time() - psutil.Process().create_time()}


def reset_run() -> dict[str, float]:
    """Forget the tables."""
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.engine.session import connect
    from lakehouse.settings import settings
    from lakehouse.storage import filesystem

    spark = connect()
    for contract in load_contracts(settings().contracts).values():
        for table in (contract.bronze, contract.silver, contract.quarantine):
            spark.sql(f"DROP TABLE IF EXISTS {table.sql}").collect()
            system, root = filesystem(table.location(settings().warehouse))
            if system.exists(root):
                system.rm(root, recursive=True)
    return {}


def parts_run() -> dict[str, float]:
    """Reading and typing Bronze's records; the same with the rules; the check of Silver's keys; reading back what Silver holds."""
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.engine.metadata import open_table, rows_by_partition
    from lakehouse.engine.session import connect
    from lakehouse.quality.rules import judge
    from lakehouse.settings import settings
    from lakehouse.silver.keys import count_keys
    from lakehouse.silver.parse import parse
    from lakehouse.silver.report import applied_by_rebuild

    contract = load_contracts(settings().contracts)["reading"]
    spark = connect()
    silver = open_table(contract.silver)
    assert silver is not None
    dates = [d for d in rows_by_partition(silver, contract.event_date) if d is not None]
    parsed = parse(spark.table(contract.bronze.sql), contract)
    work = {
        "parse": lambda: parsed.write.format("noop").mode("overwrite").save(),
        "judge": lambda: judge(parsed, contract).write.format("noop").mode("overwrite").save(),
        "keys": lambda: count_keys(spark, contract, dates, silver.version()),
        "audit": lambda: applied_by_rebuild(spark, contract, None),
    }
    took = {}
    for name, piece in (*work.items(), *work.items()):  # the first turn warms up
        before = time.perf_counter()
        piece()
        took[f"{name}_s"] = time.perf_counter() - before
    return took


def files_run() -> dict[str, float]:
    """Bronze from the files of the landing folder, with the listing before it."""
    from lakehouse.bronze.ingest import ingest, pending
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.engine.session import connect
    from lakehouse.settings import settings

    contract = load_contracts(settings().contracts)["reading"]
    spark = connect()
    before = time.perf_counter()
    files = pending(contract).amount.files
    listed = time.perf_counter()
    ingest(spark, contract, "bench")
    return {"files": files, "listing_s": listed - before, "ingest_s": time.perf_counter() - listed}


WORK = {
    **{"dagster": dagster_run, "rebuild": rebuild_run, "noop": noop_run, "start": start_run, "reset": reset_run, "parts": parts_run, "files": files_run},
    **{"backfill": backfill_run, "gold": gold_run},
}

if __name__ == "__main__":
    os.environ["DAGSTER_HOME"] = os.environ["LAKEHOUSE_HOME"] + "/dagster"
    os.makedirs(os.environ["DAGSTER_HOME"], exist_ok=True)  # noqa: PTH103
    sys.stdout.write("\n" + json.dumps(WORK[sys.argv[1]]()) + "\n")
