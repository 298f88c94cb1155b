"""The Gold assets: dbt's models as Dagster sees them, in two groups, by day and unpartitioned.

Not here: what is stale (`gold.progress`), SQL (the dbt project).
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

from lakehouse.contracts.model import Contract
from lakehouse.engine.launcher import ensure_engine
from lakehouse.engine.metadata import open_table, rows_by_partition
from lakehouse.gold.progress import Stale, missing_sources, notes, stale
from lakehouse.gold.project import Model, manifest_path, models, served
from lakehouse.resources import SparkEngine
from lakehouse.runs import rebuilds_everything, report_partitions, requested_days
from lakehouse.settings import settings
from lakehouse.tables import Table

DAILY, WHOLE = "gold_daily", "gold_entities"
Condition = dg.AutomationCondition[dg.AssetKey]


class Translator(DagsterDbtTranslator):
    """Keys as everywhere: layer and name."""

    def __init__(self, partitions: Mapping[str, dg.PartitionsDefinition[str]], condition: Condition) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=False))
        self._partitions, self._condition = partitions, condition

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Schema and name."""
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The domain, which is dbt's group."""
        return dbt_resource_props.get("group") or (dbt_resource_props.get("config") or {}).get("group") or "gold"

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """The layer, beside dbt's tags."""
        return {**super().get_tags(dbt_resource_props), "layer": str(dbt_resource_props["schema"])}

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> dg.PartitionsDefinition[str] | None:
        """Days, for what is built by day."""
        return self._partitions.get(dbt_resource_props["name"])

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> dg.AutomationCondition[dg.AssetKey] | None:
        """Marts and views follow Silver."""
        return self._condition if dbt_resource_props["resource_type"] == "model" else None


def gold_assets(contracts: Mapping[str, Contract], follow: Callable[[Collection[dg.AssetKey]], Condition]) -> list[dg.AssetsDefinition]:
    """The assets of all models whose Silver tables have contracts: those by day in one definition, the others in another.

    `follow` gives the condition of a group, from the assets whose updates it ignores.
    """
    manifest = manifest_path()
    usable = served(models(manifest, manifest.stat().st_mtime), contracts)
    by_day = [m for m in usable if m.by_day or (m.materialized == "view" and all(contracts[s].event_date for s in m.sources))]
    whole = [m for m in usable if m not in by_day]
    start = min((c.start for c in contracts.values()), default=date(2000, 1, 1))
    days = dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)
    undated = [dg.AssetKey([m.schema, m.name]) for m in whole]
    groups = ((DAILY, by_day, follow(undated)), (WHOLE, whole, follow(())))
    partitions = {m.name: days for m in by_day}
    return [_assets(name, group, manifest, Translator(partitions, condition), contracts) for name, group, condition in groups if group]


def _assets(name: str, group: list[Model], manifest: Any, translator: Translator, contracts: Mapping[str, Contract]) -> dg.AssetsDefinition:  # noqa: ANN401
    @dbt_assets(
        manifest=manifest,
        select=" ".join(m.name for m in group),
        name=name,
        project=DbtProject(project_dir=settings().dbt_project),
        dagster_dbt_translator=translator,
        pool=name,
        backfill_policy=dg.BackfillPolicy.single_run() if name == DAILY else None,
    )
    def build(context: dg.AssetExecutionContext, dbt: DbtCliResource, spark: SparkEngine) -> Iterator[Any]:
        chosen = [m for m in group if dg.AssetKey([m.schema, m.name]) in context.selected_asset_keys]
        days = requested_days(context) if name == DAILY else None
        if days is not None or (name == WHOLE and rebuilds_everything(context)):
            yield from _run(context, dbt, chosen, chosen, frozenset(days) if days is not None else None)
            return
        found = [stale(m, contracts, lambda: spark.spark_session) for m in chosen if m.materialized != "view" and not missing_sources(m)]
        yield from _follow(context, dbt, chosen, found)

    return build


def _follow(context: dg.AssetExecutionContext, dbt: DbtCliResource, chosen: list[Model], found: Collection[Stale]) -> Iterator[Any]:
    """Bring the stale marts up to date: those that need everything in one dbt run, those that need some dates in another."""
    due = [s for s in found if not s.current]
    for one in due:
        context.log.info(f"{one.model.name}: {'everything' if one.dates is None else f'{len(one.dates)} dates'}, since {one.why}")
    everything = [s.model for s in due if s.dates is None]
    some = [s for s in due if s.dates is not None]
    # Chosen views of entities are always made: Dagster skips whatever lies downstream of an asset that was chosen and then not made.
    views = [] if any(m.by_day for m in chosen) else [m for m in chosen if m.materialized == "view"]
    if everything or views:
        yield from _run(context, dbt, chosen, [*everything, *views], None)
    if some:
        yield from _run(context, dbt, chosen, [s.model for s in some], frozenset().union(*(s.dates or () for s in some)), follow=True)


def _run(  # noqa: PLR0913 - one dbt run, told everything it needs
    context: dg.AssetExecutionContext, dbt: DbtCliResource, chosen: list[Model], due: list[Model], dates: frozenset[date] | None, *, follow: bool = False
) -> Iterator[Any]:
    """One `dbt build` of the due marts and the views below them."""
    sources = frozenset().union(*(m.sources for m in due))
    wanted = {m.name for m in due} | {m.name for m in chosen if m.materialized == "view" and m.sources & sources}
    left_out = [m.name for m in chosen if m.name not in wanted]
    marts = [m for m in due if m.materialized != "view"]
    command = ["build", "--exclude-resource-type", "unit_test"]
    if not any(m.by_day for m in chosen):
        command += ["--indirect-selection", "buildable"]  # tests of facts that look at a dimension are the facts' own
    if left_out:
        command += ["--exclude", " ".join(left_out)]
    _tell_dbt(notes(marts, context.run_id, whole=follow or dates is None), dates)
    invocation = dbt.cli(command, context=context)
    yield from invocation.stream()
    _keep_parsed(invocation.target_path)
    for mart in marts:
        _tell(context, mart, dates, first_day(context))


def _tell_dbt(commit_metadata: dict[str, str], dates: Collection[date] | None) -> None:
    """What the project and its profile read from the environment; variables on dbt's command line would make it parse everything anew."""
    endpoints = ensure_engine()
    told = {"HOST": endpoints.thrift_host, "PORT": str(endpoints.thrift_port), "COMMIT_METADATA": json.dumps(commit_metadata)}
    told["DATES"] = "" if dates is None else json.dumps(sorted(d.isoformat() for d in dates))
    os.environ.update({f"DBT_LAKEHOUSE_{name}": value for name, value in told.items()})


def _keep_parsed(target: Path) -> None:
    """Keep what dbt parsed for this engine's port, so that the next run need not parse again."""
    parsed, kept = target / "partial_parse.msgpack", settings().dbt_project / "target" / "partial_parse.msgpack"
    if parsed.exists():
        fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.copyfile(parsed, fresh)
        fresh.replace(kept)


def first_day(context: dg.AssetExecutionContext) -> date:
    """The first day of the marts' partitions."""
    definition = context.assets_def.partitions_def
    return definition.start.date() if isinstance(definition, dg.DailyPartitionsDefinition) else date.min


def _tell(context: dg.AssetExecutionContext, mart: Model, dates: frozenset[date] | None, start: date) -> None:
    """Row counts, and the partitions that a run without partition keys touched."""
    table = open_table(Table("gold", mart.name))
    if table is None:
        return
    rows = rows_by_partition(table, mart.partition)
    context.add_asset_metadata({"dagster/row_count": sum(rows.values()), "delta_version": table.version()}, asset_key=mart.table.key)
    if mart.by_day:
        days = [d for d in (rows if dates is None else dates) if d is not None]
        report_partitions(context, start, mart.table, {d: {"partition_row_count": rows.get(d, 0)} for d in days})


def dbt_resource() -> DbtCliResource:
    """The dbt command line, on the project's own profile."""
    project = settings().dbt_project
    dbt = Path(sys.executable).with_name("dbt")  # beside this Python, whether or not its folder is on the PATH
    return DbtCliResource(project_dir=str(project), profiles_dir=str(project), dbt_executable=str(dbt))
