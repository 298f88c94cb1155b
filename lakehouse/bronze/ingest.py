"""Taking records into Bronze: the increment (what is new at the source) and the rebuild (exactly these days).

Each write is one commit that carries the progress, made on the very state of the table from which it was planned.
Not here: Dagster (`bronze.assets`), what is new and how it is read (`sources`).
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.contracts.model import Contract
from lakehouse.contracts.recorded import properties
from lakehouse.engine import metadata
from lakehouse.engine.delta import Commit, Overtaken, ensure_table
from lakehouse.engine.metadata import Day, Note, TableState
from lakehouse.engine.session import compile_for
from lakehouse.engine.shape import Shape
from lakehouse.errors import SourceError, WriteConflict
from lakehouse.governance.deployed import raise_if_broken
from lakehouse.sources import source_of
from lakehouse.sources.protocol import Amount, Batch, Look, Portion, Unreadable

ATTEMPTS = 5
_RECORD = 100  # bytes, to tell few records from many
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Ingested:
    """What a run took in: the days it touched, how much, and what it found wrong with the source (see `sources.protocol.Look`)."""

    version: int | None
    days: frozenset[Day] = frozenset()
    amount: Amount = Amount()
    changed: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def seen(self, look: Look) -> Ingested:
        """With what a look at the source found odd."""
        return replace(
            self,
            changed=_union(self.changed, look.changed),
            vanished=_union(self.vanished, look.vanished),
            hidden=_union(self.hidden, look.hidden),
            passed_over=_union(self.passed_over, look.passed_over),
        )


def _union(*several: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain(*several)))


def shape(contract: Contract) -> Shape:
    """The Bronze table as it is made; typed formats add their own columns with the first write."""
    return Shape(source_of(contract).fields, "_source_date", f"What arrived for {contract.name}, as it arrived.", properties(contract))


def pending(contract: Contract, *, full: bool = False, force: bool = False) -> Look:
    """What the source has that Bronze lacks; without Spark. Raises `SourceError`."""
    return source_of(contract).look(metadata.state(contract.bronze), full=full, force=force)


def ingest(  # noqa: PLR0913 - the three switches of an increment are its interface
    spark: SparkSession, contract: Contract, run: str, *, full: bool = False, force: bool = False, progress: Progress | None = None
) -> Ingested:
    """Take in whatever is new, in commits of bounded size.

    Parts that can't be read are named in the result; everything else is in. Raises `ContractChanged`, `SourceError`, `WriteConflict`.
    """
    source, total = source_of(contract), Ingested(None)
    for _ in range(ATTEMPTS):
        state = metadata.state(contract.bronze)
        raise_if_broken(contract, state)
        look = source.look(state, full=full, force=force)
        total = total.seen(look)
        if not look.portions:
            return total
        try:
            planned = _as_planned(ensure_table(spark, contract.bronze, shape(contract)), state)
            for portion in look.portions:
                planned, taken, total = _take_in(spark, contract, run, planned, portion, total)
                planned = _remember_recordless(spark, contract, run, taken, planned)
                if progress:
                    progress(f"{contract.bronze}: {total.amount}")
            return total
        except Overtaken:
            continue
    raise WriteConflict(
        f"{contract.bronze} was written by another run {ATTEMPTS} times while this one tried.",
        state="Nothing of this run's last portion was written; nothing is lost.",
        next_step=f"When the other run is done: lakehouse sync {contract.name}",
    )


def _as_planned(found: TableState, planned: TableState | None) -> TableState:
    """The table to write to, with the version that the look at the source was made for. Raises `Overtaken` when a run has committed since."""
    if planned is None:
        if found.transaction:
            raise Overtaken
        return found
    if (found.id, found.transaction) != (planned.id, planned.transaction):
        raise Overtaken
    return planned


def _take_in(  # noqa: PLR0913 - a step of `ingest`, told what that knows
    spark: SparkSession, contract: Contract, run: str, planned: TableState, portion: Portion, total: Ingested
) -> tuple[TableState, Portion | None, Ingested]:
    """One portion in one commit; parts that Spark can't read are set aside one by one. The table's state, what was taken, and the new total."""
    unreadable = list(total.unreadable)
    _compile_for(spark, portion)
    while True:
        batch = portion.read(spark)
        unreadable += batch.unreadable
        total = replace(total, unreadable=tuple(dict.fromkeys(unreadable)))
        if batch.rows is None:
            return planned, None, total
        note = _next_note(planned, run, contract, batch.portion)
        try:
            version = _write(spark, contract, planned, note, batch)
            break
        except PySparkException as error:
            left = batch.portion.without(error)
            if left is None:
                raise
            portion, culprit = left
            unreadable.append(culprit)
        finally:
            batch.close()
    touched = metadata.changes(contract.bronze, planned.version, version, "_source_date")
    days = total.days | batch.portion.days | (touched.days if touched else frozenset())
    total = replace(total, version=version, days=days, amount=total.amount + batch.portion.amount)
    return planned.after(version, note), batch.portion, total


def _compile_for(spark: SparkSession, portion: Portion) -> None:
    """By its records, or by its bytes; a portion that tells of neither may be large."""
    amount = portion.amount
    compile_for(spark, amount.records or amount.bytes // _RECORD or sys.maxsize)


def _write(spark: SparkSession, contract: Contract, state: TableState, note: Note, batch: Batch) -> int:
    assert batch.rows is not None
    commit, grows = Commit(spark, state, note), not contract.source.is_text and (contract.schema_evolution == "addOnly" or state.note is None)
    where = batch.portion.replaces
    return commit.append(batch.rows, new_columns=grows) if where is None else commit.replace(batch.rows, where, new_columns=grows)


def _next_note(state: TableState, run: str, contract: Contract, portion: Portion) -> Note:
    note = metadata.advanced(state.note, f"{run}/{uuid.uuid4().hex[:8]}", contract.version, state.version, {})
    return replace(note, positions={**note.positions, **portion.positions})


def _remember_recordless(spark: SparkSession, contract: Contract, run: str, portion: Portion | None, state: TableState) -> TableState:
    """Note what was read and held no record; it leaves no row to be found by."""
    silent = portion.recordless() if portion else {}
    if portion is None or not silent:
        return state
    note = _next_note(state, run, contract, portion)
    note = replace(note, recordless={**note.recordless, **silent})
    return state.after(Commit(spark, state, note).append(spark.table(contract.bronze.sql).limit(0)), note)


def rebuild(spark: SparkSession, contract: Contract, days: Collection[date], run: str, *, force: bool = False) -> Ingested:
    """Read exactly these days anew from the source and replace them in one commit.

    Raises `SourceShrank` when the source no longer has what the table holds (unless `force`), `SourceError` when a part can't be read, `ContractChanged`.
    """
    source, wanted = source_of(contract), frozenset(days)
    where = "_source_date in ({})".format(", ".join(f"date'{d}'" for d in sorted(wanted)))
    for _ in range(ATTEMPTS):
        raise_if_broken(contract, metadata.state(contract.bronze))
        state = ensure_table(spark, contract.bronze, shape(contract))
        look = source.again(state, wanted, force=force)
        _compile_for(spark, look.portions[0])
        batch = look.portions[0].read(spark)
        if batch.unreadable:
            batch.close()
            raise _unreadable(contract, batch.unreadable)
        rows = batch.rows if batch.rows is not None else spark.table(contract.bronze.sql).limit(0)
        note = _next_note(state, run, contract, batch.portion)
        try:
            version = Commit(spark, state, note).replace(rows, batch.portion.replaces or where, new_columns=not contract.source.is_text)
            _remember_recordless(spark, contract, run, batch.portion, state.after(version, note))
        except Overtaken:
            continue
        except PySparkException as error:
            left = batch.portion.without(error)
            if left is None:
                raise
            raise _unreadable(contract, (left[1],)) from error
        finally:
            batch.close()
        return Ingested(version, frozenset(wanted), batch.portion.amount).seen(look)
    raise WriteConflict(
        f"{contract.bronze} was written by other runs {ATTEMPTS} times while this rebuild tried.", state=f"{contract.bronze} holds what they wrote."
    )


def _unreadable(contract: Contract, parts: Sequence[Unreadable]) -> SourceError:
    first = parts[0]
    more = f" (and {len(parts) - 1:,} more)" if len(parts) > 1 else ""
    return SourceError(
        f"{source_of(contract).place}/{first}{more}",
        state=f"{contract.bronze} is unchanged.",
        next_step=f"Replace or remove it, then run the same command again, or: lakehouse sync {contract.name}",
    )
