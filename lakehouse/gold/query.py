"""What the columns of one SQL query are made of, by sqlglot's reading of it. Not here: the dbt project (`gold.columns`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope, find_all_in_scope

from lakehouse.lineage import ROWS, Ref

Refs = frozenset[Ref]
NONE: Refs = frozenset()


@dataclass(frozen=True)
class Made:
    """For each column of a query what its values are made of; and what decides which rows it has.

    `copies`: of columns that only take over values, as they are, the columns that these come from.
    `equal`: columns that rows are joined or filtered by as equal.
    """

    columns: Mapping[str, Refs] = field(default_factory=dict)
    rows: Refs = NONE
    copies: Mapping[str, Refs] = field(default_factory=dict)
    equal: frozenset[Refs] = frozenset()

    @property
    def all(self) -> Refs:
        """Everything that the query reads."""
        return self.rows.union(*self.columns.values())


def made_of(sql: str, tables: Mapping[str, Sequence[str]]) -> Made:
    """Read a query over `tables` (`schema.name` → columns). Raises `SqlglotError` where it can't be followed to the end."""
    schema: dict[str, Any] = {}
    for table, columns in tables.items():
        layer, name = table.split(".")
        schema.setdefault(layer, {})[name] = dict.fromkeys(columns, "unknown")
    tree = qualify(parse_one(sql, dialect="spark"), dialect="spark", schema=schema, identify=False, quote_identifiers=False)
    scope = build_scope(tree)
    if scope is None:
        raise OptimizeError(f"no query: {sql[:80]}")
    reader = _Reader(tables)
    return replace(reader.scope(scope), equal=frozenset(reader.equal))


class _Reader:
    """Follows columns through a query's scopes: CTEs, derived tables, set operations, subqueries, lateral views."""

    def __init__(self, tables: Mapping[str, Sequence[str]]) -> None:
        each = {t: {c.lower(): frozenset({Ref(t, c)}) for c in columns} for t, columns in tables.items()}
        self._tables = {t.lower(): Made(columns, frozenset({Ref(t, ROWS)}), columns) for t, columns in each.items()}
        self._read: dict[int, Made] = {}
        self.equal: set[Refs] = set()

    def scope(self, scope: Scope) -> Made:
        """What a scope gives. Each is read once; a recursive CTE adds nothing by reading itself."""
        if id(scope) not in self._read:
            self._read[id(scope)] = Made()
            self._read[id(scope)] = self._set_operation(scope) if scope.set_operation_scopes else self._select(scope)
        return self._read[id(scope)]

    def _set_operation(self, scope: Scope) -> Made:
        """By position, under the names of the first."""
        left, right = (self.scope(s) for s in scope.set_operation_scopes)
        columns = {name: ours | theirs for (name, ours), theirs in zip(left.columns.items(), right.columns.values(), strict=False)}
        pairs = zip(left.columns, right.columns, strict=False)
        copies = {ours: left.copies[ours] | right.copies[theirs] for ours, theirs in pairs if ours in left.copies and theirs in right.copies}
        compared = not isinstance(scope.expression, exp.Union) or scope.expression.args.get("distinct")
        rows = left.rows.union(right.rows, *(columns.values() if compared else ()))
        return Made(columns, rows, copies)

    def _select(self, scope: Scope) -> Made:
        query = scope.expression
        if isinstance(query, exp.Subquery):
            return self.scope((scope.subquery_scopes or scope.derived_table_scopes)[0])
        joins = query.args.get("joins") or ()
        if not isinstance(query, exp.Select) or query.is_star or any(j.method == "NATURAL" for j in joins):
            raise OptimizeError(f"can't follow {query.sql(dialect='spark')[:80]}")
        sources = [self._source(scope, name) for name, _ in scope.references]
        rows = NONE.union(*(s.rows for s in sources), *(self._named_in(part, scope) for part in _choosing(query)))
        counted = frozenset(ref for ref in rows if ref.column == ROWS)
        columns = {s.alias_or_name: self._named_in(s, scope) | (counted if _counts_rows(s) else NONE) for s in query.selects}
        copies = {s.alias_or_name: copied for s in query.selects if (copied := self._copied(s, scope))}
        self.equal |= {ours | theirs for ours, theirs in self._compared(scope) if ours and theirs}
        return Made(columns, rows.union(*columns.values()) if query.args.get("distinct") else rows, copies)

    def _compared(self, scope: Scope) -> Iterator[tuple[Refs, Refs]]:
        """The columns that a SELECT joins or filters rows by as equal, side by side."""
        joins = [j for j in scope.expression.args.get("joins") or () if j.args.get("on")]
        where = scope.expression.args.get("where")
        for condition in (*(j.args["on"] for j in joins), *([where.this] if where else ())):
            for part in condition.flatten() if isinstance(condition, exp.And) else (condition,):
                if isinstance(part, exp.EQ | exp.NullSafeEQ):
                    yield self._copied(part.left, scope), self._copied(part.right, scope)

    def _copied(self, node: exp.Expr, scope: Scope) -> Refs:
        """The columns whose values an expression takes over as they are; none when it makes others of them."""
        if isinstance(node, exp.Alias | exp.Paren) or (isinstance(node, exp.Cast) and node.to.is_type("date")):
            return self._copied(node.this, scope)
        if isinstance(node, exp.Coalesce):
            parts = [self._copied(part, scope) for part in (node.this, *node.expressions)]
            return NONE.union(*parts) if all(parts) else NONE
        source = self._holder(node, scope) if isinstance(node, exp.Column) else None
        return source.copies.get(node.name, NONE) if source is not None else NONE

    def _source(self, scope: Scope, name: str) -> Made:
        """What stands behind a name of a FROM."""
        source = scope.sources.get(name)
        if source is None:
            raise OptimizeError(f"can't tell what {name} is")
        if isinstance(source, exp.Table):
            table = f"{source.db}.{source.name}"
            if table not in self._tables:
                raise OptimizeError(f"{table} is no model and no Silver table")
            return self._tables[table]
        if isinstance(source.expression, exp.Query):
            return self.scope(source)
        return Made({}, self._named_in(source.expression, scope))  # a lateral view makes rows, and all its columns, of what it explodes

    def _named_in(self, node: exp.Expr, scope: Scope) -> Refs:
        """Whatever an expression names, itself or in subqueries."""
        named = (self._column(c, scope) for c in find_all_in_scope(node, exp.Column))
        inner = {id(s.expression): s for s in scope.subquery_scopes}
        nested = (inner[id(q)] for q in find_all_in_scope(node, exp.Query) if id(q) in inner)
        return NONE.union(*named, *(self.scope(s).all for s in nested))

    def _holder(self, column: exp.Column, scope: Scope) -> Made | None:
        """What stands behind a column's table, here or in a query around."""
        holder: Scope | None = scope
        while holder is not None and column.table not in holder.sources:
            holder = holder.parent
        return self._source(holder, column.table) if holder is not None else None

    def _column(self, column: exp.Column, scope: Scope) -> Refs:
        source = self._holder(column, scope)
        if source is not None and column.name in source.columns:
            return source.columns[column.name]
        if source is None or source.columns:
            raise OptimizeError(f"can't tell where {column.sql(dialect='spark')} comes from")
        return source.rows


def _choosing(query: exp.Select) -> Iterator[exp.Expr]:
    """The parts of a SELECT that decide which rows it gives."""
    names = ("where", "group", "having", "qualify", *(("order", "limit") if query.args.get("limit") else ()))
    parts = (*(query.args.get(name) for name in names), *(j.args.get("on") for j in query.args.get("joins") or ()))
    yield from (part for part in parts if part is not None)
    if (group := query.args.get("group")) and group.args.get("all"):
        yield from (select for select in query.selects if not select.find(exp.AggFunc))


def _counts_rows(select: exp.Expr) -> bool:
    """Whether a value is made of the rows themselves, as in `count(*)`."""
    return any(not aggregate.find(exp.Column) for aggregate in find_all_in_scope(select, exp.AggFunc))
