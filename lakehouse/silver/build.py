"""Building Silver and its quarantine: the increment (what Bronze gained), the rebuild (exactly these event dates), the replay (refused records again).

One pass over the records: they are parsed, judged and kept; Silver, quarantine and the counts are all taken from that. Both tables carry their own progress.
Not here: what a run has to do (`silver.plan`, `silver.replay`), what was counted (`silver.report`), Dagster (`silver.assets`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract
from lakehouse.contracts.recorded import properties
from lakehouse.contracts.spark_schema import silver_fields
from lakehouse.contracts.spark_types import widens
from lakehouse.engine import metadata
from lakehouse.engine.delta import Commit, Overtaken, ensure_table, rows_of
from lakehouse.engine.kept import kept
from lakehouse.engine.metadata import Day, Note, TableState
from lakehouse.engine.session import compile_for
from lakehouse.engine.shape import Shape
from lakehouse.errors import DataError, WriteConflict
from lakehouse.governance.deployed import raise_if_broken
from lakehouse.quality import quarantine
from lakehouse.quality.rules import judge
from lakehouse.silver import history, parents, replay, report
from lakehouse.silver.avro import decoded, is_avro
from lakehouse.silver.changes import DELETED
from lakehouse.silver.dates import among, belonging, bronze_days, judged_by, placed, placed_by
from lakehouse.silver.drift import Drift
from lakehouse.silver.keys import count_keys
from lakehouse.silver.masking import masked
from lakehouse.silver.parse import ORIGIN, parse
from lakehouse.silver.plan import KEPT, Again, Plan, catch_up, known, rebuild_of, remembered, rows_at, rows_to_judge, together, torn
from lakehouse.silver.report import Built, Counts, Merged
from lakehouse.silver.scd import newer, winners

ATTEMPTS = 5
_FILES_GONE = ("FileNotFound", "FAILED_READ_FILE.FILE_NOT_EXIST", "PATH_NOT_FOUND")


@dataclass(frozen=True)
class Tables:
    """The states that a run plans from."""

    bronze: TableState
    silver: TableState
    quarantine: TableState

    @property
    def both(self) -> tuple[TableState, TableState]:
        """What a run writes."""
        return self.silver, self.quarantine

    @property
    def torn(self) -> frozenset[Day] | None:
        """The dates of replays and rebuilds that only one of both knows of; None when these can't be told."""
        return torn(self.silver.note, self.quarantine.note)


def silver_shape(contract: Contract) -> Shape:
    """The Silver table as the contract declares it."""
    # The rules keep NULLs out; a NOT NULL in the table would turn every loosening of a contract into an ALTER.
    fields = tuple(replace(f, nullable=True) for f in silver_fields(contract))
    partition = "is_current" if contract.scd == 2 else contract.event_date
    return Shape(fields, partition, contract.description, properties(contract), widens)


def increment(spark: SparkSession, contract: Contract, run: str) -> Built:
    """Bring Silver and quarantine to Bronze's newest version; each from its own progress.

    Raises `ContractChanged`, `RowRuleFailed`, `WriteConflict`, `DataError`.
    """
    return _until_committed(contract, lambda built: _catch_up(spark, contract, run, built))


def rebuild(spark: SparkSession, contract: Contract, dates: Collection[date] | None, run: str) -> Built:
    """Judge again all records that belong to these dates (None: everything), and replace what Silver and quarantine hold of them.

    Bronze days that were replaced since the last run are rebuilt in the same commit; so is everything, where records no longer belong to the dates at which
    the tables have them. Raises like `increment`.
    """
    wanted: frozenset[Day] = frozenset(dates) if dates is not None and contract.event_date else frozenset()
    return _until_committed(contract, lambda built: _rebuild(spark, contract, run, wanted, built))


def put_through(spark: SparkSession, contract: Contract, again: Again, run: str) -> Built:
    """Judge these refused records again: those that pass get into Silver as an increment would bring them, the others stay with their reasons of now.

    First everything else is brought up to date. Raises like `increment`.
    """
    return _until_committed(contract, lambda built: _replay(spark, contract, run, again, built))


def _until_committed(contract: Contract, attempt: Callable[[Built], Built]) -> Built:
    for _ in range(ATTEMPTS):
        try:
            return attempt(Built(contract))
        except Overtaken:
            continue  # plan again from what the other run left
    raise WriteConflict(
        f"{contract.silver} was written by other runs {ATTEMPTS} times while this one tried.",
        state="Each of their commits is whole; nothing of this run's last attempt was written.",
        next_step=f"When they are done: lakehouse sync {contract.name}",
    )


def _tables(spark: SparkSession, contract: Contract) -> Tables:
    bronze = metadata.state(contract.bronze)
    if bronze is None:
        raise DataError(f"{contract.bronze} does not exist yet.", state=f"{contract.silver} is unchanged.", next_step=f"lakehouse sync {contract.name}")
    raise_if_broken(contract, metadata.state(contract.silver))
    silver = ensure_table(spark, contract.silver, silver_shape(contract))
    return Tables(bronze, silver, ensure_table(spark, contract.quarantine, quarantine.shape(contract)))


def _now(contract: Contract) -> Tables:
    """The states as they are later in a run, which has made the tables' shapes. Raises `Overtaken` when one has gone meanwhile."""
    bronze, silver, refused = (metadata.state(t) for t in (contract.bronze, contract.silver, contract.quarantine))
    if bronze is None or silver is None or refused is None:
        raise Overtaken
    return Tables(bronze, silver, refused)


def _catch_up(spark: SparkSession, contract: Contract, run: str, built: Built) -> Built:
    if report.current(contract):
        return built
    tables = _tables(spark, contract)
    one, other = (catch_up(contract, target, tables.bronze) for target in tables.both)
    if one == other:
        built = _apply(spark, contract, run, one, tables.both, built)
    # Only after a crash between two commits, or a RESTORE of one. What one table has alone the other takes in as it was judged, or both judge it anew.
    elif _judged_alike(contract, tables) and {one.step, other.step} <= {"append", "nothing"}:
        for target, plan in zip(tables.both, (one, other), strict=True):
            built = _apply(spark, contract, run, plan, (target,), built)
    else:
        built = _apply(spark, contract, run, together(contract, one, other), tables.both, built)
    if tables.torn != frozenset():  # every step takes what the notes know along
        built = _mend(spark, contract, run, built)
    return _follow_parents(spark, contract, run, built) if contract.waiting_columns else built


def _judged_alike(contract: Contract, tables: Tables) -> bool:
    """Whether both tables' records were judged as they would be now."""
    return not contract.waiting_columns and all(t.note is not None and t.note.judged == judged_by(contract) for t in tables.both)


def _mend(spark: SparkSession, contract: Contract, run: str, built: Built) -> Built:
    """Build anew what a replay or rebuild has done to one of both tables only: the other was not reached, or has gone back."""
    tables = _now(contract)
    days = tables.torn
    if days is not None and not days:
        return built
    until = _consumed(tables)
    why, rejudged = "what was judged again is in one of both tables only", known(tables.silver.note, tables.quarantine.note)
    plan = Plan("rebuild", tables.bronze.id, until, until, why=why, rejudged=rejudged)
    return _apply(spark, contract, run, plan if days is None else rebuild_of(contract, plan, days), tables.both, built)


def _follow_parents(spark: SparkSession, contract: Contract, run: str, built: Built) -> Built:
    """Take back what names a row of another table that is gone, and let in what waited for one that has come."""
    tables, now = _now(contract), parents.parents_of(contract)
    until = _consumed(tables)
    noted = Plan("append", tables.bronze.id, until, until, frozenset(), why="other tables have moved", parents=now)  # takes in nothing, says it has followed
    if parents.to_retract(tables.silver, now):
        built = _retract(spark, contract, run, replace(noted, settles=frozenset({"silver"})), tables, built)
        tables = _now(contract)
    if parents.to_release(contract, tables.quarantine, now):
        noted = replace(noted, settles=frozenset({"quarantine"}))
        release = replay.plan_of(spark, contract, Again(arrived=True), tables.quarantine, noted)
        built = _apply(spark, contract, run, release or noted, tables.both if release else (tables.quarantine,), built)
    return built


def _retract(spark: SparkSession, contract: Contract, run: str, noted: Plan, tables: Tables, built: Built) -> Built:  # noqa: PLR0913 - a step of the above
    """Build anew the Bronze days whose records name a row that is gone."""
    plan = replace(noted, step="rebuild", days=None, why="rows that its records name are gone")
    days = parents.orphaned(spark, contract, tables.silver, noted.parents or {}, lambda: _parsed(contract, _bronze(spark, contract, plan)))
    if days is None:
        return _apply(spark, contract, run, plan, tables.both, built)
    return _apply(spark, contract, run, rebuild_of(contract, plan, days) if days else noted, tables.both if days else (tables.silver,), built)


def _consumed(tables: Tables) -> int:
    """The Bronze version that both tables hold. Raises `Overtaken` when another run has moved one of them."""
    one, other = (target.consumed(tables.bronze) for target in tables.both)
    if one is None or other is None or (one != other and not all(target.holds(tables.bronze) for target in tables.both)):
        raise Overtaken
    return min(one, other)


def _replay(spark: SparkSession, contract: Contract, run: str, again: Again, built: Built) -> Built:
    built = _catch_up(spark, contract, run, built)
    tables = _tables(spark, contract)  # when everything was up to date, nobody has looked at their shapes yet
    consumed = _consumed(tables)
    if tables.torn != frozenset():
        raise Overtaken
    base = Plan("replay", tables.bronze.id, consumed, consumed, parents=parents.parents_of(contract))
    plan = replay.plan_of(spark, contract, again, tables.quarantine, base)
    return _apply(spark, contract, run, plan, tables.both, built) if plan else built


def _rebuild(spark: SparkSession, contract: Contract, run: str, wanted: frozenset[Day], built: Built) -> Built:
    tables = _tables(spark, contract)
    plans = [catch_up(contract, target, tables.bronze) for target in tables.both]
    if not wanted or contract.event_date is None:
        return _apply(spark, contract, run, Plan("rebuild", tables.bronze.id, None, tables.bronze.version, why="asked for"), tables.both, built)
    if plans[0] != plans[1] or plans[0].step == "append" or tables.torn != frozenset() or parents.due(contract, tables.silver, tables.quarantine):
        built = _catch_up(spark, contract, run, built)
        tables = _tables(spark, contract)
        plans = [catch_up(contract, target, tables.bronze) for target in tables.both]
        if any(p.step == "append" for p in plans):
            raise Overtaken
    base = plans[0]
    if base.step == "rebuild" and base.after is not None:
        plan = base if base.dates is None else replace(base, dates=base.dates | wanted)
        return _apply(spark, contract, run, plan, tables.both, built)
    # A table that never consumed anything stays so: only these dates are promised. Else it is current, and stays so.
    plan = Plan("rebuild", tables.bronze.id, base.after, tables.bronze.version, dates=wanted, why="asked for")
    return _apply(spark, contract, run, plan, tables.both, built)


def _apply(spark: SparkSession, contract: Contract, run: str, plan: Plan, targets: tuple[TableState, ...], built: Built) -> Built:
    """Read what the plan concerns once, and write the targets from it, side by side: each is a commit of its own."""
    if plan.step == "nothing":
        return built
    plan = _completed(contract, plan, targets)
    compile_for(spark, rows_to_judge(contract, plan))
    try:
        with kept(_judged(spark, contract, _bronze(spark, contract, plan), plan.parents or {})) as rows:
            return _write(spark, contract, run, plan, targets, rows if plan.step == "append" else _in_scope(rows, contract, plan), built)
    except PySparkException as error:
        if plan.step == "append" and any(sign in str(error) for sign in _FILES_GONE):
            instead = rebuild_of(contract, replace(plan, why="files that Bronze gained were compacted and vacuumed away"), plan.days or ())
            return _apply(spark, contract, run, instead, _now(contract).both, built)
        raise


def _write(  # noqa: PLR0913 - as below
    spark: SparkSession, contract: Contract, run: str, plan: Plan, targets: tuple[TableState, ...], rows: DataFrame, built: Built
) -> Built:
    """Count the judged rows, and write the targets from them."""
    counts = Counts.of(rows, contract)
    counts.raise_if_failed(contract)
    built = built if built.drift.records else replace(built, drift=_drift(spark, contract, plan, targets, counts))
    if plan.chosen is not None:
        replay.check_found(contract, plan.chosen, counts)
        if not counts.accepted:  # Silver stays as it is
            targets = tuple(t for t in targets if t.table == contract.quarantine)
            built = built.and_then(report.refused_again(contract, plan, counts))
        else:
            plan = replace(plan, done=remembered(plan))

    def write(target: TableState) -> Built:
        one = _write_silver if target.table == contract.silver else _write_quarantine
        return one(spark, contract, run, plan, target, rows, counts)

    with ThreadPoolExecutor(len(targets)) as pool:
        return reduce(Built.and_then, pool.map(write, targets), built)


def _completed(contract: Contract, plan: Plan, targets: tuple[TableState, ...]) -> Plan:
    """With the parents as they are, and of a rebuild what the tables remember. One of some dates becomes one of everything where rows lie at other dates."""
    if plan.parents is None:
        plan = replace(plan, parents=parents.parents_of(contract))
    if plan.step == "rebuild" and plan.dates is not None and not all(placed(contract, target) for target in targets):
        plan = replace(plan, dates=None, why=f"{plan.why}; of everything, since records belong to other dates now than those that the tables have them at")
    if plan.step != "rebuild" or plan.rejudged is not None:
        return plan
    done = remembered(plan)
    return replace(plan, done=done) if plan.dates is not None else replace(plan, rejudged=known(targets[0].note, targets[1].note, done))


def _drift(spark: SparkSession, contract: Contract, plan: Plan, targets: tuple[TableState, ...], counts: Counts) -> Drift:
    """What the source has otherwise than the contract. Only what arrives anew tells that a field is gone."""
    silver = next((t for t in targets if t.table == contract.silver), None)
    filled = metadata.filled_shares(contract.silver, silver.version) if silver is not None and plan.step == "append" and counts.drift.absent else {}
    return counts.drift.explained(lambda: _readable(contract, _bronze(spark, contract, plan)), contract, filled)


def _bronze(spark: SparkSession, contract: Contract, plan: Plan) -> DataFrame:
    """The Bronze rows that a plan concerns, at exactly the version it was made for."""
    if plan.step == "append":
        # The files themselves rather than Delta's change feed: the feed takes every text through Java's strings, which replaces bytes that are not
        # UTF-8, and so would make an increment accept what a rebuild refuses. Bronze files are plain Parquet (no deletion vectors, no column mapping).
        return rows_of(spark, contract.bronze, plan.files)
    rows = spark.sql(f"SELECT * FROM {contract.bronze.sql} VERSION AS OF {plan.until}")
    if plan.chosen is not None:
        refused = replay.marked(spark, contract, plan.chosen, plan.parents or {}).where("_again")
        return replay.records_of(rows.where(among("_source_date", plan.days or ())), refused, contract)
    if plan.dates is None:
        return rows
    return rows.where(among("_source_date", bronze_days(contract, plan.dates)))


def _parsed(contract: Contract, bronze: DataFrame) -> DataFrame:
    # A handful: one for each layout of the files.
    headers = [row[0] for row in bronze.select("_header").distinct().collect()] if contract.source.format == "csv" else []
    return parse(_readable(contract, bronze), contract, headers)


def _readable(contract: Contract, bronze: DataFrame) -> DataFrame:
    """Bronze rows whose `_payload` is text."""
    return decoded(bronze, contract) if is_avro(contract) else bronze


def _judged(spark: SparkSession, contract: Contract, bronze: DataFrame, known_rows: parents.Parents) -> DataFrame:
    """Parsed and judged rows, as narrow as they can be kept: the raw record only of those that were refused."""
    judged = judge(parents.marked(spark, _parsed(contract, bronze), contract, known_rows), contract)
    return judged.withColumn("_payload", F.when(~F.col("_accepted"), F.col("_payload")))


def _in_scope(rows: DataFrame, contract: Contract, plan: Plan) -> DataFrame:
    """Of the days that were read: the rows that belong to the plan's dates."""
    return rows if plan.dates is None or contract.event_date is None else rows.where(belonging(contract, contract.event_date, plan.dates))


def _note(contract: Contract, run: str, plan: Plan, target: TableState) -> Note:
    """What the commit will say. A rebuild of some dates of a table that never consumed anything promises nothing about the others."""
    whole = plan.step == "append" or plan.after is not None or plan.dates is None
    consumed = {str(contract.bronze): (plan.source, plan.until)} if whole else {}
    everything = plan.step == "rebuild" and plan.dates is None
    followed = plan.parents or {}
    if whole and (everything or target.table.layer in plan.settles or parents.settled(contract, target, followed)):
        consumed |= {str(p.table): (p.id, p.version) for p in followed.values()}
    note = metadata.advanced(target.note, f"{run}/{uuid.uuid4().hex[:8]}", contract.version, target.version, consumed)
    own = placed_by(contract) if everything or placed(contract, target) else ""
    rejudged = plan.rejudged if plan.rejudged is not None else (*note.rejudged, *((plan.done,) if plan.done else ()))[-KEPT:]
    return replace(note, rejudged=rejudged, judged=judged_by(contract), placed=own)


def _write_silver(  # noqa: PLR0913 - one write, told everything it needs; a holder class would only rename it
    spark: SparkSession, contract: Contract, run: str, plan: Plan, target: TableState, rows: DataFrame, counts: Counts
) -> Built:
    columns = [c.name for c in contract.columns] + [*(DELETED if contract.feed else ()), *ORIGIN, "_record_hash"]
    accepted = rows.where("_accepted").select(*columns)
    with winners(accepted, sum(counts.accepted.values()), contract) as (won, lost), ThreadPoolExecutor(1) as meanwhile:
        won = masked(won, contract)
        commit = Commit(spark, target, _note(contract, run, plan, target))
        dates = counts.dates if plan.step == "append" or plan.dates is None else frozenset(d for d in plan.dates if d is not None)
        where = among(contract.event_date, dates) if contract.event_date else None
        compile_for(spark, sum(counts.accepted.values()), rows_at(contract, dates))
        superseded, keys = meanwhile.submit(report.by_day, lost), None
        if plan.step == "rebuild":
            version = commit.replace(history.versions(won, contract) if contract.scd == 2 else won, None if plan.dates is None else where)
            merged = report.kept_by_rebuild(spark, contract) if contract.scd == 2 else Merged(report.applied_by_rebuild(spark, contract, where), {}, {})
        elif not counts.accepted:
            version, merged = commit.append(spark.table(contract.silver.sql).limit(0)), Merged({}, {}, {})
        elif contract.scd == 2:
            version, merged = _merge_history(spark, contract, commit, won)
        else:
            version = commit.merge(won, _match(contract, counts.dates), newer(contract), columns)
            keys = meanwhile.submit(count_keys, spark, contract, counts.dates, version)  # beside the audit: both only read
            merged = report.applied_by_merge(spark, contract, won, where, version)
        balances = report.balance(contract, counts, merged, superseded.result(), again=plan.chosen is not None)
        found = keys.result() if keys else None
    return Built(contract, version, steps=(str(plan),), dates=frozenset(dates), balances=balances, by_rule=counts.by_rule, keys=found)


def _merge_history(spark: SparkSession, contract: Contract, commit: Commit, changes: DataFrame) -> tuple[int, Merged]:
    """Merge what the changes make different in their keys' versions, in one commit; read back what became of each of them."""
    with kept(changes) as batch:
        stored, all_current = history.touched(spark, contract, commit.planned, batch)
        on = " and ".join(f"t.`{c}` = s.`{c}`" for c in contract.identity) + (" and t.is_current" if all_current else "")
        version = commit.merge(history.difference(stored, batch, contract), on, "true", [f.name for f in silver_fields(contract)], gone="s._gone")
        return version, report.kept_by_merge(spark, contract, batch, version)


def _match(contract: Contract, dates: Collection[date]) -> str:
    """MERGE's condition, with the event dates as literals so that only their partitions are read."""
    keys = " and ".join(f"t.`{c}` = s.`{c}`" for c in contract.identity)
    return f"{keys} and {among(f't.`{contract.event_date}`', dates)}" if contract.event_date else keys


def _write_quarantine(  # noqa: PLR0913 - as above
    spark: SparkSession, contract: Contract, run: str, plan: Plan, target: TableState, rows: DataFrame, counts: Counts
) -> Built:
    commit = Commit(spark, target, _note(contract, run, plan, target))
    refused = quarantine.refused(rows, contract)
    if not counts.refused:
        refused = spark.table(contract.quarantine.sql).limit(0)
    if plan.chosen is not None:  # the day's other records stay as they are
        of_days = replay.marked(spark, contract, plan.chosen, plan.parents or {}).where(among("_source_date", plan.days or ()))
        refused = refused.unionByName(of_days.where("not _again").drop("_again"), allowMissingColumns=True)
    if plan.step == "append":
        version = commit.append(refused)
    elif plan.step == "replay":
        version = commit.replace(refused, among("_source_date", plan.days or ()))
    else:
        version = commit.replace(refused, belonging(contract, "_event_date", plan.dates) if plan.dates is not None else None)
    touched = metadata.changes(contract.quarantine, version - 1, version, "_source_date")
    return Built(contract, quarantine_version=version, days=(touched.days if touched else frozenset()) | frozenset(counts.refused))
