"""Fields that a source has and its contract does not take, and fields that it no longer sends: seen while records are parsed, at no pass of its own.

A record's unknown fields are a text that is there only when it has some; its absent optional fields are bits, so that a run's are one `bit_and`.
Not here: how it is reported (`silver.assets`); a field that changes its case or type, which its record is refused for (`parse`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from math import log
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.guess import guess_type
from lakehouse.contracts.model import Column as ContractColumn
from lakehouse.contracts.model import Contract, FileSource
from lakehouse.contracts.suggest import guess_of_csv, guess_of_json, suggested
from lakehouse.silver.changes import is_debezium

UNKNOWN = "_unknown"
_BITS = 63  # of a bigint, without its sign
_EVERY = -1  # all bits: what says nothing about a field's absence
_SAMPLE = 200
_HARDLY = log(1e-6)
MANY = "(many different names)"
_ROWS = (("after",), ("payload", "after"), ("before",), ("payload", "before"))  # where Debezium has the row


def optional(contract: Contract) -> tuple[ContractColumn, ...]:
    """The columns whose field can be missing without a rule that refuses the record."""
    return tuple(c for c in contract.read_columns if not (c.required and c.on_fail != "warn") and not c.source_field.startswith("_"))


def masks(contract: Contract) -> list[str]:
    """The columns that hold the bits."""
    return [f"_absent{n}" for n in range(-(-len(optional(contract)) // _BITS))]


def of_text(fields: Column, contract: Contract) -> list[Column]:
    """`_unknown` and the masks, of a record's fields as a map of texts (NULL: the record is unreadable)."""
    declared, names = [c.source_field or c.name for c in contract.read_columns], F.map_keys(fields)
    usual = F.coalesce(names == F.array(*map(F.lit, declared)), F.lit(False))
    known = F.array(*map(F.lit, (*declared, *contract.ignored_fields)))
    # Names that are no text could not leave Spark; such a record is refused as it is.
    told = fields.isNotNull() & ~usual & F.is_valid_utf8("_payload")
    unknown = F.when(told, F.array_join(F.sort_array(F.array_except(names, known)), "\n"))
    bits = [F.col(f"_raw_{c.name}").isNull() & ~F.array_contains(names, c.source_field or c.name) for c in optional(contract)]
    silent = F.col("is_deleted") if contract.feed else F.lit(False)  # a delete need not tell what the row was
    found = [F.when(fields.isNull() | silent, _EVERY).when(usual, 0).otherwise(mask).cast("bigint") for mask in _masks(bits)]
    return [F.nullif(unknown, F.lit("")).alias(UNKNOWN), *_named(found)]


def unknown_columns(own: Sequence[str], contract: Contract) -> Column:
    """`_unknown` of a typed format, from the source's own columns: one that is not taken counts where it has a value."""
    known = {*(c.source_field or c.name for c in contract.read_columns), *contract.ignored_fields}
    extra = [F.when(F.col(f"`{n}`").isNotNull(), F.lit(n)) for n in sorted(set(own) - known)]
    return (F.nullif(F.concat_ws("\n", *extra), F.lit("")) if extra else F.lit(None).cast("string")).alias(UNKNOWN)


def of_columns(contract: Contract) -> list[Column]:
    """`_unknown`, which is there, and the masks of a typed format: a field without values counts as absent."""
    return [F.col(UNKNOWN), *_named(_masks([F.col(f"_raw_{c.name}").isNull() for c in optional(contract)]))]


def _masks(bits: Sequence[Column]) -> list[Column]:
    return [_mask(bits[n : n + _BITS]) for n in range(0, len(bits), _BITS)]


def _mask(bits: Sequence[Column]) -> Column:
    return reduce(lambda mask, bit: mask.bitwiseOR(bit), [F.when(b, F.lit(1 << n)).otherwise(F.lit(0)).cast("bigint") for n, b in enumerate(bits)])


def _named(found: Iterable[Column]) -> Iterator[Column]:
    return (mask.alias(f"_absent{n}") for n, mask in enumerate(found))


@dataclass(frozen=True)
class Drift:
    """What a run saw: records per unknown field, and the optional columns whose field no record had; then what follows from it.

    `gone`: of these columns those that had values before, with the share of rows that did. `patch`: what the contract could say of the unknown fields.
    """

    records: int = 0
    unknown: Mapping[str, int] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    gone: Mapping[str, float] = field(default_factory=dict)
    patch: str = ""

    @staticmethod
    def of(contract: Contract, groups: Iterable[tuple[str | None, int, Sequence[int]]]) -> Drift:
        """From groups of records: their unknown fields, how many they are, and their masks."""
        unknown: Counter[str] = Counter()
        common, total = [_EVERY] * len(masks(contract)), 0
        for names, rows, own in groups:
            unknown.update(dict.fromkeys(names.split("\n"), rows) if names else {})
            common, total = [a & b for a, b in zip(common, own, strict=True)], total + rows
        absent = [c.name for n, c in enumerate(optional(contract)) if common[n // _BITS] != _EVERY and common[n // _BITS] >> n % _BITS & 1]
        return Drift(total, dict(sorted(unknown.items())), tuple(absent))

    def explained(self, bronze: Callable[[], DataFrame], contract: Contract, filled: Mapping[str, float]) -> Drift:
        """With what follows from it. `bronze`: the records that were read; `filled`: the share of rows that had a value before, by column."""
        gone = {c: filled[c] for c in self.absent if c in filled and _not_by_chance(filled[c], self.records)}
        names = [n for n in self.unknown if n != MANY]
        return replace(self, gone=gone, patch=_patch(bronze(), contract, names) if names else "")


def _not_by_chance(share: float, records: int) -> bool:
    """Whether so many records would hardly all lack what this share of rows has."""
    return share >= 1 or (share > 0 and records * log(1 - share) < _HARDLY)


def _patch(bronze: DataFrame, contract: Contract, names: Sequence[str]) -> str:
    """What the contract could say of these fields, from some of the records that have them, or from the types that they have."""
    source = contract.source
    if not source.is_text:
        return suggested({n: guess_type(bronze.schema[n].dataType.simpleString()) for n in names})
    bronze = bronze.where(F.is_valid_utf8("_payload"))
    if isinstance(source, FileSource) and source.format == "csv":
        rows = bronze.where(_any_of([F.col("_header").contains(n) for n in names])).select("_header", "_payload").limit(_SAMPLE).collect()
        return suggested({n: guess_of_csv(n, [(r[0], r[1]) for r in rows], source) for n in names})
    rows = bronze.where(_any_of([F.col("_payload").contains(n) for n in names])).select("_payload").limit(_SAMPLE).collect()
    return suggested({n: guess_of_json(n, [r[0] for r in rows], _ROWS if is_debezium(contract) else ((),)) for n in names})


def _any_of(conditions: Sequence[Column]) -> Column:
    return reduce(or_, conditions)
