"""A contract's source of type `postgresql`: the standard's server and our options. Not here: looking at tables or reading them (`sources.postgres`)."""

from __future__ import annotations

from lakehouse.contracts.model import PostgresSource
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import PostgresOptions


def read_postgres(contract: Node, server: Node, options: PostgresOptions | None) -> PostgresSource | None:
    """The source, or None after reporting why there is none."""
    value = contract.property("source")
    host, port = server.text("host"), server.whole("port")
    database, schema = server.text("database"), server.text("schema")
    if options is None:
        if not value.value:
            contract.wrong("needs the property 'source', such as {mode: cursor, cursor: updated_at} or {mode: snapshot}", "customProperties")
        return None
    if options.mode == "cursor" and options.cursor is None:
        value.wrong("mode cursor needs `cursor`: the column that grows with every insert and update, such as updated_at", "mode")
    if options.mode == "snapshot":
        for key in (k for k in ("cursor", "overlap", "maxRecords") if k in value.value):
            value.wrong("is for mode cursor", key)
        check_kind(contract)
    elif "interval" in value.value:
        value.wrong("is for mode snapshot", "interval")
    if host is None or port is None or database is None or schema is None:
        return None  # the standard's schema says so
    return PostgresSource(
        host=host,
        port=port,
        database=database,
        schema=schema,
        table=options.table or contract.text("name") or "",
        cursor=options.cursor if options.mode == "cursor" else None,
        overlap=options.overlap,
        parallel=options.parallel,
        max_records=options.maxRecords,
        interval=options.interval,
    )


def check_kind(contract: Node) -> None:
    """Report a table of events that is to be read in snapshots."""
    kind = next((p for p in contract.items("customProperties") if p.text("property") == "kind"), None)
    if kind is not None and kind.text("value") == "event":
        kind.wrong("a table that is read in snapshots has the present state of things: its kind is entity", "value")
