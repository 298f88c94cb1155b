"""The Gold assets: dbt's models as Dagster sees them, in two groups, by day and unpartitioned.

Not here: what is stale (`gold.progress`), SQL (the dbt project).
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets
from dagster_dbt.asset_utils import get_manifest_and_translator_from_dbt_assets

from lakehouse.contracts.model import Contract
from lakehouse.engine.launcher import ensure_engine
from lakehouse.engine.metadata import open_table, rows_by_partition
from lakehouse.engine.session import compiling
from lakehouse.errors import DataError, SetupError
from lakehouse.gold import dbt
from lakehouse.gold.columns import gold_columns
from lakehouse.gold.marts import lake_marts
from lakehouse.gold.progress import Stale, Taken, all_stale, notes, taken_now
from lakehouse.gold.project import Model, manifest_path
from lakehouse.lineage import Lineage
from lakehouse.resources import SparkEngine
from lakehouse.runs import column_lineage, rebuilds_everything, report_partitions, requested_days
from lakehouse.settings import settings

DAILY, WHOLE = "gold_daily", "gold_entities"
Condition = dg.AutomationCondition[dg.AssetKey]
Dates = Mapping[str, frozenset[date]]  # by mart the dates that a run builds


class Translator(DagsterDbtTranslator):
    """Keys as everywhere: layer and name."""

    def __init__(self, partitions: Mapping[str, dg.PartitionsDefinition[str]], condition: Condition) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=False))
        self._partitions, self._condition = partitions, condition

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """With the layer's sign, as Bronze and Silver have theirs."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)  # a source has its signs from its contract
        return spec.replace_attributes(kinds={*spec.kinds, "view" if node["config"]["materialized"] == "view" else "gold"}) if node else spec

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
    """The assets of all models that can be followed: those by day in one definition, the others in another.

    `follow` gives the condition of a group, from the assets whose updates it ignores.
    """
    manifest, usable = manifest_path(), lake_marts(contracts).models
    by_day = [m for m in usable if m.by_day or (m.materialized == "view" and m.sources and all(contracts[s].event_date for s in m.sources))]
    whole = [m for m in usable if m not in by_day]
    start = min((c.start for c in contracts.values()), default=date(2000, 1, 1))
    days = dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)
    undated = [_key(m) for m in whole]
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
    def build(context: dg.AssetExecutionContext, spark: SparkEngine) -> Iterator[Any]:
        chosen = [m for m in group if _key(m) in context.selected_asset_keys]
        step = Step(context, chosen, contracts)
        days = requested_days(context) if name == DAILY else None
        marts = [m for m in chosen if m.materialized != "view"]
        if days is not None:  # says nothing of the other days, so takes in nothing
            yield from _run(step, chosen, dict.fromkeys((m.name for m in marts), frozenset(days)), {})
        elif name == WHOLE and rebuilds_everything(context):
            yield from _run(step, chosen, None, taken_now(marts))
        else:
            yield from _follow(step, all_stale(marts, contracts, lambda: spark.spark_session))

    return build


@dataclass(frozen=True)
class Step:
    """A step of a run, and the models it is for."""

    context: dg.AssetExecutionContext
    chosen: list[Model]
    contracts: Mapping[str, Contract]


def _follow(step: Step, found: Collection[Stale]) -> Iterator[Any]:
    """Bring the marts up to date that are behind: those that need everything in one dbt run, those that need some dates in another.

    A mart that fails holds up those that read it, and no other. Raises `DataError` at the end.
    """
    due = [s.noting() for s in found if s.moved]
    for one in due:
        step.context.log.info(f"{one.model.name}: {'everything' if one.dates is None else f'{len(one.dates)} dates'}, since {one.why}")
    taken = {s.model.name: s.taken for s in due}
    # Chosen views of entities are always made: Dagster skips whatever lies downstream of an asset that was chosen and then not made.
    views = [] if any(m.by_day for m in step.chosen) else [m for m in step.chosen if m.materialized == "view"]
    built, lost, failures = set[dg.AssetKey](), dict[str, bool](), list[DataError]()  # of what is lost whether another held it up
    for turn, together in enumerate(_turns(due)):
        lost |= {s.model.name: True for s in together if _above(s.model, lost)}
        ready = [s for s in together if s.model.name not in lost]
        models = [*(s.model for s in ready), *(views if not turn else [])]
        try:
            for event in _run(step, models, {s.model.name: s.dates for s in ready if s.dates is not None} if turn % 2 else None, taken) if models else ():
                if isinstance(event, dg.Output):
                    built.add(step.context.asset_key_for_output(event.output_name))
                yield event
        except DataError as error:
            failures.append(error)
            for one in (s for s in ready if _key(s.model) not in built):
                lost[one.model.name] = _above(one.model, lost)
    if failures:
        raise _some_failed(failures, [s.model.name for s in due if _key(s.model) in built], lost)


def _above(model: Model, names: Collection[str]) -> bool:
    return any(p.name in names for p in model.parents)


def _some_failed(failures: Sequence[DataError], built: Sequence[str], lost: Mapping[str, bool]) -> DataError:
    """What the dbt runs said, and how each mart is now."""
    parts = {
        "Built": built,
        "Not built": [name for name, held_up in lost.items() if not held_up],
        "Held up by that, and as they were": [name for name, held_up in lost.items() if held_up],
    }
    state = " ".join(f"{what}: {', '.join(names)}." for what, names in parts.items() if names)
    return DataError("\n".join(dict.fromkeys(f.what for f in failures)), state=state or failures[0].state, next_step=failures[0].next_step)


def _turns(due: Sequence[Stale]) -> list[list[Stale]]:
    """The dbt runs, in turn of everything and of some dates, no mart before those that it reads."""
    turns: list[list[Stale]] = [[]]
    turn: dict[str, int] = {}
    for one in due:
        earliest = max((turn[p.name] for p in one.model.parents if p.name in turn), default=0)
        turn[one.model.name] = earliest + (earliest % 2 != (one.dates is not None))
        turns += [[] for _ in range(turn[one.model.name] - len(turns) + 1)]
        turns[turn[one.model.name]].append(one)
    return turns


def _run(step: Step, due: list[Model], dates: Dates | None, taken: Mapping[str, Taken]) -> Iterator[Any]:
    """One `dbt build` of the due marts and the views below them. `taken`: by mart what of Silver its commit will say that it holds."""
    sources = frozenset().union(*(m.sources for m in due))
    wanted = {m.name for m in due} | {m.name for m in step.chosen if m.materialized == "view" and (m.sources & sources or not m.sources)}
    left_out = [m.name for m in step.chosen if m.name not in wanted]
    marts = [m for m in due if m.materialized != "view"]
    # Of entities alone: tests of facts that look at a dimension are the facts' own.
    build = dbt.Build([m.name for m in step.chosen], left_out, buildable=not any(m.by_day for m in step.chosen))
    manifest, translator, _ = get_manifest_and_translator_from_dbt_assets([step.context.assets_def])
    lineage, made = _lineage(step), {_key(m): m for m in step.chosen if m.name in wanted}
    told = _told(notes(marts, step.context.run_id, taken), dates, max((_rows_read(step, m, dates) for m in marts), default=0))
    for event in dbt.run(build, told, step.context, manifest, translator):
        # What is told of an asset has to be told before its output is handed on.
        if isinstance(event, dg.Output) and (model := made.get(step.context.asset_key_for_output(event.output_name))):
            _tell(step.context, model, None if dates is None else dates.get(model.name), column_lineage(lineage, f"{model.schema}.{model.name}"))
        yield event


def _lineage(step: Step) -> Lineage:
    """What columns are made of. A project that dbt can't compile without an engine is built all the same."""
    try:
        found = gold_columns(step.contracts)
    except SetupError as error:
        step.context.log.warning(f"Columns are shown without their lineage. {error}")
        return Lineage()
    for model, why in found.unreadable.items():
        step.context.log.warning(f"{model}: its columns count as made of all that its Silver tables have, since sqlglot can't follow its SQL: {why}")
    return found.lineage


def _rows_read(step: Step, mart: Model, dates: Dates | None) -> int:
    """How many rows of Silver a mart is made from in this run."""
    rows = 0
    for name in mart.sources:
        table, column = open_table(step.contracts[name].silver), step.contracts[name].event_date
        days = dates.get(mart.name) if dates is not None and column else None
        rows += sum(n for day, n in (rows_by_partition(table, column) if table is not None else {}).items() if days is None or day in days)
    return rows


def _told(commit_metadata: dict[str, str], dates: Dates | None, rows: int) -> dict[str, str]:
    """What the project and its profile are told of this run, which reads so many rows of Silver."""
    endpoints = ensure_engine()
    told = {"HOST": endpoints.thrift_host, "PORT": str(endpoints.thrift_port), "COMMIT_METADATA": json.dumps(commit_metadata), "CODEGEN": compiling(0, rows)}
    return {**told, "DATES": "" if dates is None else json.dumps({name: sorted(d.isoformat() for d in own) for name, own in dates.items()})}


def first_day(context: dg.AssetExecutionContext) -> date:
    """The first day of the marts' partitions."""
    definition = context.assets_def.partitions_def
    return definition.start.date() if isinstance(definition, dg.DailyPartitionsDefinition) else date.min


def _tell(context: dg.AssetExecutionContext, model: Model, dates: frozenset[date] | None, columns: Mapping[str, Any]) -> None:
    """What the columns are made of; of a mart also row counts, and the partitions that a run without partition keys touched."""
    context.add_asset_metadata(columns, asset_key=_key(model))
    table = open_table(model.table) if model.materialized != "view" else None
    if table is None:
        return
    rows = rows_by_partition(table, model.partition)
    context.add_asset_metadata({"dagster/row_count": sum(rows.values()), "delta_version": table.version()}, asset_key=_key(model))
    if model.by_day:
        report_partitions(context, first_day(context), model.table, rows if dates is None else dates, rows, columns)


def _key(model: Model) -> dg.AssetKey:
    return dg.AssetKey([model.schema, model.name])
