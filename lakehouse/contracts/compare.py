"""Two versions of a contract held against each other: every difference, and what it means for those who read the table and for what is stored.

Pure: no Spark, no files. Where nobody can tell whether a change is harmless (another rule text, another pattern), it is not called compatible.
Not here: columns' own declarations (`compare_columns`), what is deployed (`governance.deployed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from lakehouse.contracts.change import Change, Kind, Redo
from lakehouse.contracts.compare_columns import compare_columns, personal_tags, refuses, text_change
from lakehouse.contracts.describe import duration
from lakehouse.contracts.model import ChangeFeed, Contract, FileSource, KafkaSource, PostgresSource, Rule, Source, Volume
from lakehouse.contracts.spark_schema import silver_fields

# How much and how often is read: nothing that a row could show.
_WORKINGS = (
    *("lookback_days", "max_files", "max_bytes", "max_records", "parallel", "overlap", "interval", "complete", "max_gone"),
    *("brokers", "host", "port", "registry"),
)
_FORMS = ("format", "delimiter", "quote", "escape", "null_value", "multi_line", "avro_schema")  # how what Bronze holds is read


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every difference between two contracts of one name, in the order in which people decide; empty when they say the same. Versions are not compared."""
    found = (*compare_columns(old, new), *_rules(old, new), *_identity(old, new), *_source(old, new), *_promises(old, new), *_texts(old, new))
    return (*found, *_technical(old, new, found))


def _rules(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = {r.name: r for r in old.rules}, {r.name: r for r in new.rules}
    for name in (n for n in after if n not in before):
        rule = after[name]
        redo: Redo = "rows" if refuses(rule.on_fail) else "nothing"
        yield Change("rules", name, f"is new: {rule.expression} (else {rule.on_fail})", redo=redo, textual=redo == "nothing")
    for name in (n for n in before if n not in after):
        rule = before[name]
        kind: Kind = "widening" if refuses(rule.on_fail) else "compatible"
        yield Change("rules", name, f"is gone: {rule.expression}", kind, "rows" if kind == "widening" else "nothing")
    for name in (n for n in before if n in after):
        yield from _rule(before[name], after[name])


def _rule(old: Rule, new: Rule) -> Iterator[Change]:
    if old.expression != new.expression:
        harmless = not refuses(old.on_fail) and not refuses(new.on_fail)
        what = f"asks for {new.expression}, no longer for {old.expression}"
        yield Change("rules", old.name, what, "compatible" if harmless else "widening", "nothing" if harmless else "rows")
    yield from _on_fail(old, new)
    yield from text_change("rules", old.name, "description", old.description, new.description)


def _on_fail(old: Rule, new: Rule) -> Iterator[Change]:
    if old.on_fail == new.on_fail:
        return
    looser = refuses(old.on_fail) and not refuses(new.on_fail)
    same = refuses(old.on_fail) == refuses(new.on_fail)
    yield Change(
        "rules", old.name, f"a row that breaks it: {new.on_fail}, was {old.on_fail}", "widening" if looser else "compatible", "nothing" if same else "rows"
    )


def _identity(old: Contract, new: Contract) -> Iterator[Change]:
    """What makes a row one row, and where it is stored."""
    pairs = (
        ("kind", old.kind, new.kind),
        ("key", ", ".join(old.key), ", ".join(new.key)),
        ("event date", old.event_date or "none", new.event_date or "none"),
        ("order", ", ".join(old.sequence) or "by origin", ", ".join(new.sequence) or "by origin"),
        ("history", f"SCD {old.scd}", f"SCD {new.scd}"),
    )
    for subject, before, after in pairs:
        if before == after:
            continue
        if subject == "key" and set(old.key) == set(new.key):
            yield Change("identity", subject, f"is written {after}, was {before}: the same columns", textual=True)
        else:
            yield Change("identity", subject, f"{after}, was {before}: which rows are one row changes", "breaking", "table")
    yield from _feed(old.feed, new.feed)
    yield from _dates(old, new)


def _feed(old: ChangeFeed | None, new: ChangeFeed | None) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            what = "the source tells changes of keys" if new else "the source tells records, no longer changes of keys"
            yield Change("identity", "change feed", what, "breaking", "table")
        return
    for field in fields(ChangeFeed):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            redo: Redo = "source" if field.name == "form" else "table"
            yield Change("identity", f"change feed, {field.name}", f"{_said(after)}, was {_said(before)}", "breaking", redo)


def _dates(old: Contract, new: Contract) -> Iterator[Change]:
    if new.start < old.start:
        what = (
            f"{new.start}, was {old.start}: earlier records that come from now on are no longer refused; those that are in need a rebuild of their Bronze days"
        )
        yield Change("identity", "first day", what, redo="rows")
    elif new.start > old.start:
        yield Change("identity", "first day", f"{new.start}, was {old.start}: the days before it are gone", "breaking", "rows")
    if new.lateness_days > old.lateness_days:
        what = f"{new.lateness_days} days, were {old.lateness_days}: a day can change for longer"
        yield Change("identity", "lateness", what, "widening", "rows")
    elif new.lateness_days < old.lateness_days:
        what = f"{new.lateness_days} days, were {old.lateness_days}: later records are refused, that counted before"
        yield Change("identity", "lateness", what, "breaking", "rows")


def _source(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = old.source, new.source
    if type(before) is not type(after):
        redo: Redo = "source" if before.format != after.format else "nothing"
        yield Change("source", "source", f"{_place(after)}, was {_place(before)}", "breaking", redo)
        return
    for field in fields(before):
        was, now = getattr(before, field.name), getattr(after, field.name)
        if was != now:
            yield _source_field(field.name, was, now)


def _source_field(name: str, was: object, now: object) -> Change:
    what = f"{_said(now)}, was {_said(was)}"
    if name in _WORKINGS:
        return Change("source", name, what, textual=True)
    if name in _FORMS:
        return Change("source", name, f"{what}: what Bronze holds is in the old form", "breaking", "source")
    if name == "cursor":
        return Change("source", name, f"{what}: how far the table was read says nothing any more", "breaking", "source")
    if name in ("compared", "time_pattern"):
        return Change("source", name, f"{what}: Bronze holds differences between snapshots of other moments, or none", "breaking", "source")
    if name == "date_pattern":
        return Change("source", name, f"{what}: Bronze has the same file under another day", "breaking", "source")
    return Change("source", name, f"{what}: other records are read from now on; those that are in stay", "widening")


def _place(source: Source) -> str:
    match source:
        case FileSource():
            return f"{source.format} files in {source.path}"
        case KafkaSource():
            return f"{source.format} of the topic {source.topic or source.topic_pattern}"
        case PostgresSource():
            return f"rows of {source.database}.{source.schema}.{source.table}"


def _promises(old: Contract, new: Contract) -> Iterator[Change]:
    if old.freshness != new.freshness:
        weaker = old.freshness is not None and (new.freshness is None or new.freshness > old.freshness)
        was, now = (duration(f) if f else "none" for f in (old.freshness, new.freshness))
        yield Change("promises", "freshness", f"{now}, was {was}", "widening" if weaker else "compatible")
    if old.freshness_column != new.freshness_column:
        what = f"is told by {new.freshness_column or 'nothing'}, was by {old.freshness_column or 'nothing'}"
        yield Change("promises", "freshness", what, "widening" if old.freshness_column else "compatible")
    if old.volume != new.volume:
        yield Change("promises", "volume", f"{_rows(new.volume)}, was {_rows(old.volume)}", "widening" if _weaker(old.volume, new.volume) else "compatible")
    if set(old.ignored_fields) != set(new.ignored_fields):
        yield Change("source", "ignoredFields", f"{_said(new.ignored_fields)}, was {_said(old.ignored_fields)}", textual=True)
    if old.maintenance != new.maintenance:
        yield Change("promises", "maintenance", "the tables are kept in order otherwise, from the next night on", textual=True)
    if old.schema_evolution != new.schema_evolution:
        yield Change("source", "schemaEvolution", f"{new.schema_evolution}, was {old.schema_evolution}")


def _weaker(old: Volume | None, new: Volume | None) -> bool:
    if old is None:
        return False
    if new is None:
        return True
    lower = (new.minimum or 0) < (old.minimum or 0)
    higher = old.maximum is not None and (new.maximum is None or new.maximum > old.maximum)
    return lower or higher or (old.severity == "error" and new.severity == "warning")


def _rows(volume: Volume | None) -> str:
    return f"{volume.minimum or 0} to {'any' if volume.maximum is None else volume.maximum} rows ({volume.severity})" if volume else "none"


def _texts(old: Contract, new: Contract) -> Iterator[Change]:
    for name in ("description", "grain", "domain", "status"):
        yield from text_change("texts", "table", name, getattr(old, name), getattr(new, name))
    for name in ("owners", "support"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Change("texts", name, f"{_said(after)}, was {_said(before)}", textual=True)
    yield from personal_tags("table", old.tags, new.tags)


def _technical(old: Contract, new: Contract, found: Iterable[Change]) -> Iterator[Change]:
    """Columns that the platform adds, where their type is made of the contract's columns."""
    if any(c.redo in ("table", "source") for c in found):
        return
    declared = {c.name for c in (*old.columns, *new.columns)}
    before = {f.name: f.type for f in silver_fields(old)}
    for field in silver_fields(new):
        if field.name not in declared and before.get(field.name) != field.type:
            yield Change("columns", field.name, "is a column of the platform's that holds other columns, and these change", redo="table")


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == "" else str(value)
