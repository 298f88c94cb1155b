"""SQL expressions in contracts, checked without Spark: they parse, name columns that exist, and depend on nothing but their own row.

The parser is sqlglot's, dialect Spark. It is loaded on first use. Not here: running expressions (`quality.rules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lakehouse.contracts.mistakes import nearest

# What gives another answer tomorrow, or on another run, would make an increment differ from a rebuild.
_CLOCK = "depends on the clock: the same record must give the same answer tomorrow"
_CHANCE = "depends on chance or on the run: the same record must give the same answer each time"
_PLACE = "depends on where it runs"
_CODE = "runs other code"
_STOPS = "stops the run: write a rule with `onFail: fail`"
_REFUSED = {
    _CLOCK: "current_date curdate current_timestamp now localtimestamp current_time unix_timestamp",
    _CHANCE: "rand random randn uuid shuffle randstr uniform monotonically_increasing_id spark_partition_id",
    _PLACE: "input_file_name input_file_block_start input_file_block_length current_user user session_user current_database current_schema "
    "current_catalog current_timezone version",
    _CODE: "java_method reflect try_reflect",
    _STOPS: "raise_error assert_true",
}
_WHY = {name: why for why, names in _REFUSED.items() for name in names.split()}
_KINDS = {"aggregate": "aggregates", "window": "looks at other rows", "generator": "makes several rows of one"}
# Words that a parenthesis may follow without being functions.
_SYNTAX = """
    and or not in is like ilike rlike regexp between then else when case end over filter cast try_cast extract exists all distinct from for as on using
    both leading trailing escape array map struct decimal dec numeric varchar char interval position overlay trim div union select where timestampadd
    timestampdiff
"""
_SYNTAX_WORDS = frozenset(_SYNTAX.split())


def check_expression(text: str, columns: Mapping[str, str], *, truth: bool) -> list[str]:
    """What is wrong with an expression over `columns` (name → Spark type); `truth`: whether it must be true or false."""
    import sqlglot
    from sqlglot import errors

    try:
        parsed = sqlglot.parse(text, dialect="spark", error_level=errors.ErrorLevel.RAISE)
    except (errors.ParseError, errors.TokenError) as error:
        return [f"does not parse as SQL: {_first(error)}"]
    trees = [t for t in parsed if t is not None]
    if len(trees) != 1 or len(parsed) != 1:
        return ["must be one SQL expression"]
    tree: Any = trees[0]
    wrong = _shape(tree)
    if wrong:
        return wrong
    return [*_forbidden(tree, text), *_unknown_columns(tree, columns), *(_not_truth(tree, columns) if truth else [])]


def columns_of(text: str) -> set[str]:
    """The columns that an expression names, in lower case; empty when it does not parse."""
    import sqlglot
    from sqlglot import errors

    try:
        tree = sqlglot.parse_one(text, dialect="spark")
    except (errors.ParseError, errors.TokenError):
        return set()
    return {name.lower() for name, _ in _names(tree)}


def _first(error: Any) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return " ".join(str(error).split())[:200]
    one = details[0]
    around = f"{one.get('start_context', '')[-30:]}»{one.get('highlight', '')}«{one.get('end_context', '')[:30]}"
    return f"{one.get('description', '').rstrip('.')}, near {' '.join(around.split())}"


def _shape(tree: Any) -> list[str]:
    from sqlglot import exp

    if isinstance(tree, exp.Alias):
        return ["must be an expression without an alias (`AS …`)"]
    if any(node.comments for node in tree.walk()):
        return ["must not hold an SQL comment: it goes into `description`"]
    statements = (exp.Query, exp.DDL, exp.DML, exp.Command, exp.Set, exp.Use, exp.Drop, exp.Show, exp.Describe)
    if isinstance(tree, statements) or not isinstance(tree, exp.Condition | exp.Cast | exp.Interval | exp.Tuple | exp.Paren):
        return [f"must be an expression over one row, not {tree.key.upper()}"]
    return []


def _forbidden(tree: Any, text: str) -> list[str]:
    from sqlglot import exp

    nodes = list(tree.walk())
    if any(isinstance(n, exp.Query | exp.Subquery) for n in nodes):
        return ["must not hold a subquery: a row is judged by itself"]
    if any(isinstance(n, exp.Window) for n in nodes):
        return ["must not hold a window function: a row is judged by itself"]
    used, known = _functions(text), spark_functions()
    bare = {n.sql_name().lower() for n in nodes if isinstance(n, exp.Func) and not n.args.get("this")} & {"current_date", "current_timestamp", "current_user"}
    wrong = []
    for name in sorted(used | bare):
        if name in _WHY:
            wrong.append(f"{name}() {_WHY[name]}")
        elif known.get(name) in _KINDS:
            wrong.append(f"{name}() {_KINDS[known[name]]}: a row is judged by itself")
        elif name not in known and name not in _SYNTAX_WORDS:
            meant = nearest(name, known)
            wrong.append(f"{name}() is no function of Spark SQL.{f' Did you mean {meant!r}?' if meant else ''}")
    return wrong


@lru_cache(maxsize=1)
def spark_functions() -> dict[str, str]:
    """Spark's functions and their kind: row, aggregate, window or generator."""
    lines = files("lakehouse.contracts").joinpath("spark_functions.txt").read_text("utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: (kind or ["row"])[0] for name, *kind in words}


def _functions(text: str) -> set[str]:
    """The functions that the text calls, as written; `unix_timestamp(x)` is about x, and only without an argument the clock."""
    import sqlglot

    tokens = [(str(t.text), t.token_type.name) for t in sqlglot.tokenize(text, read="spark")]
    called = set()
    for before, (name, kind), (opening, _), (after, _) in zip([("", ""), *tokens], tokens, tokens[1:], [*tokens[2:], ("", "")], strict=False):
        lower = name.lower()
        quantifier = lower in ("any", "some") and before[0].lower() in ("like", "ilike")
        if opening == "(" and kind not in ("IDENTIFIER", "STRING", "NUMBER") and (name[:1].isalpha() or name[:1] == "_") and not quantifier:
            called.add(lower if lower != "unix_timestamp" or after == ")" else "to_unix_timestamp")
    return called


def _names(tree: Any) -> list[tuple[str, str]]:
    """(first part, as written) of every column in the expression; parameters of lambdas are not columns."""
    from sqlglot import exp

    found = []
    for column in tree.find_all(exp.Column):
        first = column.parts[0].name
        if first.lower() not in _parameters(column):
            found.append((first, column.sql(dialect="spark")))
    return found


def _parameters(node: Any) -> set[str]:
    from sqlglot import exp

    names: set[str] = set()
    while node is not None:
        if isinstance(node, exp.Lambda):
            names |= {e.name.lower() for e in node.expressions}
        node = node.parent
    return names


def _unknown_columns(tree: Any, columns: Mapping[str, str]) -> list[str]:
    known = {c.lower() for c in columns}
    wrong = []
    for first, written in dict.fromkeys(_names(tree)):
        if first.lower() not in known:
            meant = nearest(first, columns)
            hint = f" Did you mean {meant!r}?" if meant else ""
            wrong.append(f"names {written!r}, which is no column it can use.{hint} Columns: {', '.join(columns) or 'none'}.")
    return wrong


def _not_truth(tree: Any, columns: Mapping[str, str]) -> list[str]:
    from sqlglot import exp

    while isinstance(tree, exp.Paren):
        tree = tree.this
    types = {c.lower(): t for c, t in columns.items()}
    of_column = types.get(tree.name.lower(), "boolean") if isinstance(tree, exp.Column) and len(tree.parts) == 1 else "boolean"
    cast_away = isinstance(tree, exp.Cast) and not tree.to.is_type("boolean")
    arithmetic = isinstance(tree, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod | exp.Neg | exp.DPipe)
    if isinstance(tree, exp.Literal | exp.Null) or of_column != "boolean" or cast_away or arithmetic:
        return ["must be true or false for a row, such as `value >= 0`"]
    return []
