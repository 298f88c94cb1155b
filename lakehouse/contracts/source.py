"""Where a contract's records come from: the standard's `servers` and our property `source`. Not here: looking at sources or reading them (`sources`)."""

from __future__ import annotations

from typing import Any

from lakehouse.contracts.kafka import read_kafka
from lakehouse.contracts.mistakes import not_one_of
from lakehouse.contracts.model import FileSource
from lakehouse.contracts.model import Source as AnySource
from lakehouse.contracts.node import Node
from lakehouse.contracts.postgres import check_kind, read_postgres
from lakehouse.contracts.profile import FileOptions, KafkaOptions, Options, PostgresOptions
from lakehouse.contracts.regexes import check_date_pattern, check_time_pattern

FORMATS = ("json", "csv", "parquet", "avro")
TYPES = {"local": "path", "s3": "location", "azure": "location", "custom": "location"}
SERVERS = ("kafka", "postgresql")
_CSV_ONLY = ("delimiter", "quote", "escape", "nullValue", "multiLine")
_SNAPSHOT_ONLY = ("timePattern", "complete", "maxGone")
_SPOKEN = {"jsonl": "json", "ndjson": "json", "json lines": "json", "jsonlines": "json", "tsv": "csv", "pq": "parquet"}


def options_model(contract: Node) -> type[Options]:
    """What the property `source` has to be, by the type of the server."""
    server = _landing(contract, tell=False)
    models: dict[str | None, type[Options]] = {"kafka": KafkaOptions, "postgresql": PostgresOptions}
    return models.get(server.text("type"), FileOptions) if server else FileOptions


def read_source(contract: Node, options: Options | None) -> AnySource | None:
    """The source, or None after reporting why there is none."""
    server = _landing(contract)
    if server is None:
        return None
    if server.text("type") == "kafka":
        return read_kafka(contract, server, options if isinstance(options, KafkaOptions) else KafkaOptions())
    if server.text("type") == "postgresql":
        return read_postgres(contract, server, options if isinstance(options, PostgresOptions) else None)
    return _read_files(contract, server, options if isinstance(options, FileOptions) else FileOptions())


def _read_files(contract: Node, server: Node, source: FileOptions) -> FileSource | None:
    path, form = _path(server), _format(server)
    options = _options(contract, source, form)
    if path is None or form is None:
        return None
    return FileSource(path=path, format=form, **options)


def _landing(contract: Node, *, tell: bool = True) -> Node | None:
    servers = contract.items("servers")
    named = [s for s in servers if s.text("server") == "landing"]
    if len(named) == 1 or (not named and len(servers) == 1):
        return (named or list(servers))[0]
    if not tell:
        return None
    if "servers" not in contract.value or not servers:
        contract.wrong("'servers' is missing: it says where the files are, such as {server: landing, type: local, path: sales/orders, format: csv}")
    else:
        contract.wrong(f"{'several servers are' if named else 'no server is'} named 'landing', the one that the records come from", "servers")
    return None


def _path(server: Node) -> str | None:
    kind = server.text("type")
    if kind is None:
        return None
    if kind not in TYPES:
        server.wrong(f"servers of type {kind!r} are not read by this version. Allowed: {', '.join((*TYPES, *SERVERS))}", "type")
        return None
    key = TYPES[kind]
    path = server.text(key)
    if path is None:
        if kind == "custom" and key not in server.value:  # for the other types the standard's schema says so
            server.wrong(f"{key!r} is missing: where the files are")
        return None
    wrong = _bad_path(path, kind)
    if wrong:
        server.wrong(wrong, key)
        return None
    for unread in (k for k in ("endpointUrl", "encoding", "delimiter") if k in server.value):
        _unread(server, unread)
    return path.rstrip("/") or "/"


def _bad_path(path: str, kind: str) -> str | None:
    if not path.strip():
        return "is empty: name the folder of the files"
    if any(c in path for c in "*?[]{}"):
        return f"{path!r} must be a folder; globs go into `pattern` of the property source"
    if ".." in path.split("/"):
        return f"{path!r} must not climb with '..'"
    if kind != "local" and "://" not in path:
        return f"{path!r} must be a URL, such as s3://bucket/folder"
    return None


def _unread(server: Node, key: str) -> None:
    value = server.text(key)
    if key == "encoding" and (value or "").lower().replace("-", "") not in ("utf8", "ascii", "usascii"):
        server.wrong(f"{value!r} is not read by this version. Allowed: UTF-8", key)
    elif key == "delimiter" and value != "new_line":
        server.wrong(f"{value!r}: JSON files hold one record per line (new_line). CSV's delimiter goes into the property source", key)
    elif key == "endpointUrl":
        server.note("is not acted on: the engine's settings name the endpoint", key)


def _format(server: Node) -> Any:
    form = server.text("format")
    if form is None:
        if "format" not in server.value and server.text("type") in ("s3", "custom"):
            server.wrong(f"'format' is missing. Allowed: {', '.join(FORMATS)}")
        return None
    if form not in FORMATS:
        meant = _SPOKEN.get(form.lower())
        told = f"unknown format {form!r}. Did you mean {meant!r}? Allowed: {', '.join(FORMATS)}." if meant else not_one_of("format", form, FORMATS)
        server.wrong(told, "format")
        return None
    return form


def _options(contract: Node, source: FileOptions, form: str | None) -> dict[str, Any]:
    value = contract.property("source")
    for key in (k for k in _CSV_ONLY if k in value.value):
        if form not in ("csv", None):
            value.wrong(f"is for CSV, and the source's format is {form}", key)
    _check_snapshots(contract, value, source)
    if source.pattern.startswith("/") or ".." in source.pattern.split("/"):
        value.wrong(f"{source.pattern!r} must be a glob below the source's folder, such as **/*.csv", "pattern")
    if source.quote == source.delimiter:
        value.wrong("must differ from the delimiter", "quote" if "quote" in value.value else "delimiter")
    if source.datePattern is not None:
        wrong = "needs `date: path`: with `date: modified` the path is not looked at" if source.date == "modified" else check_date_pattern(source.datePattern)
        if wrong:
            value.wrong(wrong, "datePattern")
    return {
        "pattern": source.pattern,
        "date_pattern": None if source.date == "modified" else source.datePattern or FileSource.date_pattern,
        "lookback_days": source.lookbackDays,
        "max_files": source.maxFiles,
        "max_bytes": source.maxBytes,
        "delimiter": source.delimiter,
        "quote": source.quote,
        "escape": source.escape,
        "null_value": source.nullValue,
        "multi_line": source.multiLine,
        "compared": source.mode == "snapshot",
        "time_pattern": source.timePattern,
        "complete": source.complete,
        "max_gone": source.maxGone,
    }


def _check_snapshots(contract: Node, value: Node, source: FileOptions) -> None:
    if source.mode == "records":
        for key in (k for k in _SNAPSHOT_ONLY if k in value.value):
            value.wrong("is for mode snapshot", key)
        return
    check_kind(contract)
    if source.date == "modified":
        value.wrong("a snapshot's moment is in its path, so that a copy of it is of the same moment: use `datePattern`, and `timePattern` where needed", "date")
    wrong = check_time_pattern(source.timePattern) if source.timePattern is not None else None
    if wrong:
        value.wrong(wrong, "timePattern")
    if source.complete is not None and "/" in source.complete:
        value.wrong(f"{source.complete!r} must be a name without folders, such as _SUCCESS", "complete")
