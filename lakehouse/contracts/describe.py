"""A contract as people and scripts read it: plain values for `lakehouse contract show`. Not here: printing (`cli.contract`)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from lakehouse.contracts.model import Column, Contract, KafkaSource, PostgresSource, Source
from lakehouse.contracts.rules import implied_rules
from lakehouse.contracts.spark_schema import comment_of


def as_dict(contract: Contract) -> dict[str, Any]:
    """name, version, …, facts (for people), source, tables, columns and rules; all of it fit for JSON."""
    source = contract.source
    return {
        "name": contract.name,
        "version": contract.version,
        "domain": contract.domain,
        "kind": contract.kind,
        "status": contract.status,
        "description": contract.description,
        "grain": contract.grain,
        "file": str(contract.file),
        "tables": [str(t) for t in (contract.bronze, contract.silver, contract.quarantine)],
        "key": list(contract.key),
        "event_date": contract.event_date,
        "sequence": list(contract.sequence),
        "scd": contract.scd,
        "change_feed": {k: getattr(contract.feed, k) for k in contract.feed.__dataclass_fields__} if contract.feed else None,
        "start": contract.start.isoformat(),
        "lateness_days": contract.lateness_days,
        "freshness_seconds": int(contract.freshness.total_seconds()) if contract.freshness else None,
        "freshness_column": contract.freshness_column,
        "owners": list(contract.owners),
        "tags": list(contract.tags),
        "source": {k: getattr(source, k) for k in source.__dataclass_fields__},
        "facts": {k: v for k, v in _facts(contract).items() if v},
        "columns": [_column(c) for c in contract.columns],
        "rules": _rules(contract),
    }


def _facts(contract: Contract) -> dict[str, str]:
    volume = contract.volume
    per = "day" if contract.kind == "event" else "table"
    rows = f"{volume.minimum or 0} to {'any' if volume.maximum is None else volume.maximum} rows per {per} ({volume.severity})" if volume else ""
    return {
        "tables": ", ".join(str(t) for t in (contract.bronze, contract.silver, contract.quarantine)),
        "source": _source(contract.source),
        "key": ", ".join(contract.key),
        "event date": f"{contract.event_date}, at most {contract.lateness_days} days late" if contract.event_date else "",
        "winner": f"greatest {', '.join(contract.sequence)}" if contract.sequence else "the last in the source",
        "changes": _changes(contract),
        "waits for": "; ".join(f"{c.name}: {p.silver}.{p.column}, {p.horizon_days} days" for c, p in contract.waiting_columns),
        "first day": contract.start.isoformat(),
        "freshness": f"{duration(contract.freshness)} by {contract.freshness_column}" if contract.freshness else "",
        "volume": rows,
        "schema": contract.schema_evolution,
        "owners": ", ".join(contract.owners),
        "tags": ", ".join(contract.tags),
        "file": str(contract.file),
    }


def _source(source: Source) -> str:
    if isinstance(source, KafkaSource):
        return f"topic {source.topic or source.topic_pattern} at {source.brokers} ({source.format}), day from the record's time"
    if isinstance(source, PostgresSource):
        how = f"by {source.cursor}, {source.overlap} below the place reached once more" if source.cursor else "in snapshots"
        return f"table {source.schema}.{source.table} of the database {source.database} at {source.host}:{source.port}, {how}"
    days = "the file's time" if source.date_pattern is None else source.date_pattern
    whole = ", in snapshots" if source.compared else ""
    return f"{source.path}/{source.pattern} ({source.format}), day from {days}{whole}"


def _changes(contract: Contract) -> str:
    if contract.feed is None:
        return ""
    form = "Debezium's messages" if contract.feed.form == "debezium" else "one in a record"
    kept = "every version is kept" if contract.scd == 2 else "the latest is kept"
    return f"{form}; {kept}; deleted when {contract.feed.delete_when or 'the source says so'}"


def _column(column: Column) -> dict[str, Any]:
    return {
        "column": column.name,
        "type": column.type,
        "required": column.required,
        "from": "computed" if column.derived else column.source_field,
        "description": comment_of(column),
        "timezone": column.timezone,
        "format": column.format,
        "masking": column.masking,
        "parent": asdict(column.parent) if column.parent else None,
        "classification": column.classification,
        "tags": list(column.tags),
    }


def _rules(contract: Contract) -> list[dict[str, Any]]:
    own = [{"rule": r.name, "onFail": r.on_fail, "means": r.expression, "description": r.description, "from": "contract"} for r in contract.rules]
    return own + [{"rule": n, "onFail": f, "means": d, "description": "", "from": "implied"} for n, d, f in implied_rules(contract)]


def duration(span: timedelta) -> str:
    """`90 m`, `2 h`, `1 d`: the largest unit that is whole."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
