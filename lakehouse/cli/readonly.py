"""What `lakehouse query` takes: one statement that only reads the lake's own tables. Everything else is refused before it reaches the engine.

Three lines of defence, each enough for most of it: what the statement begins with (Spark can read nothing but a query from text that begins with SELECT,
VALUES or a bracket, so a WITH is put into one), its syntax tree, and its tokens. The engine's `runSQLOnFiles=false` is a fourth, for files as tables.
Not here: asking the engine (`query`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]  # they are, but not by name

from lakehouse.errors import QueryRefused

DIALECT = "spark"
logging.getLogger("sqlglot").setLevel(logging.ERROR)

_QUERY_WORDS = ("SELECT", "WITH", "VALUES", "(")
_EXPLAIN_MODES = ("LOGICAL", "FORMATTED", "EXTENDED", "CODEGEN", "COST")
_TAKEN = "one SELECT (also WITH … SELECT, VALUES), SHOW, DESCRIBE or EXPLAIN"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Run code of the engine's JVM, or read files and other systems; some are Databricks' or Hive's, and refused lest they come one day.
FORBIDDEN_FUNCTIONS = _words(
    "reflect try_reflect reflect2 java_method read_files table_changes_by_path cloud_files in_file read_kafka read_kinesis read_pubsub read_pulsar "
    "read_statestore read_state_metadata remote_query http_request secret try_secret ai_query python_worker_logs identifier"
)
TABLE_FUNCTIONS = _words(
    "range explode explode_outer posexplode posexplode_outer inline inline_outer stack json_tuple variant_explode variant_explode_outer "
    "table_changes collations sql_keywords unnest"
)
# A "database" of this name is a file format, and what follows a path.
FORMATS = _words("delta parquet json csv orc avro text binaryfile image xml iceberg hudi kafka jdbc rate socket libsvm hive statestore")
_WRITES = (exp.DML, exp.DDL, exp.Command, exp.QueryTransform, exp.Into, exp.Drop, exp.Alter, exp.Set, exp.Use, exp.Cache, exp.Uncache, exp.LoadData, exp.Pragma)


@dataclass(frozen=True)
class Statement:
    """A statement that may be sent: its text, and how many lines stand before the user's own first line."""

    sql: str
    is_query: bool
    lines_before: int = 0


def read_only(text: str) -> Statement:
    """The statement to send. Raises `QueryRefused` for anything that does more than read the lake's tables."""
    if "${" in text:
        raise _refused("`${…}` would be replaced by a setting or a variable of the engine's environment", "Write the value itself.")
    tokens = _without_end(_tokens(text))
    if not tokens:
        raise _refused("there is no statement", 'For example: lakehouse query "show tables in gold"')
    body = text[tokens[0].start : tokens[-1].end + 1]
    word = tokens[0].text.upper()
    if word in _QUERY_WORDS:
        _check_query(body)
        return Statement(f"SELECT * FROM (\n{body}\n)", True, 1) if word == "WITH" else Statement(body, True)
    if word == "EXPLAIN":
        return _explain(body)
    if word in ("DESCRIBE", "DESC"):
        return _describe(body)
    if word == "SHOW":
        _check_names(_rest(body))
        return Statement(body, False)
    if word == "FROM":
        raise _refused("it begins with FROM", "Begin with SELECT.")
    raise _refused(f"it begins with {word}")


def _explain(body: str) -> Statement:
    """EXPLAIN runs nothing; what it explains must be a query all the same, since analysing it looks at what it names."""
    rest = _rest(body) or "nothing"
    first, *after = rest.split(None, 1)
    query = after[0] if after and first.upper() in _EXPLAIN_MODES else rest
    inner = read_only(query)
    if not inner.is_query:
        raise _refused("only a query can be explained here")
    return Statement(f"EXPLAIN {first.upper()} {query}" if query != rest else f"EXPLAIN {query}", False)


def _describe(body: str) -> Statement:
    rest = _rest(body)
    words = [t.text.upper() for t in _tokens(rest)[:2]]
    if words and (words[0] in _QUERY_WORDS or (words[0] == "QUERY" and words[1:])):
        _check_query(rest[5:] if words[0] == "QUERY" else rest)
    else:
        _check_names(rest)
    return Statement(body, False)


def _rest(body: str) -> str:
    """The statement without its first word, comments and white space before the second one left out."""
    text = re.sub(r"^\w+", "", body)
    tokens = _without_end(_tokens(text))
    return text[tokens[0].start : tokens[-1].end + 1] if tokens else ""


def _tokens(text: str) -> list[Token]:
    try:
        return list(sqlglot.tokenize(text, dialect=DIALECT))
    except SqlglotError as error:
        raise _refused(f"it can't be read: {str(error).splitlines()[0]}", "Look for a quote or a comment that is not closed.") from error


def _without_end(tokens: Sequence[Token]) -> list[Token]:
    """Without the semicolons at the end. A semicolon anywhere else means another statement."""
    kept = list(tokens)
    while kept and kept[-1].token_type is TokenType.SEMICOLON:
        kept.pop()
    if any(t.token_type is TokenType.SEMICOLON for t in kept):
        raise _refused("it is more than one statement", "Send them one by one.")
    return kept


def _check_query(body: str) -> None:
    _check_tokens(_tokens(body))
    try:
        parsed = [p for p in sqlglot.parse(body, dialect=DIALECT) if p is not None]
    except ParseError as error:
        raise _refused(f"it can't be read{_where(error)}", "Correct it there. Spark SQL is what the engine speaks.") from error
    except SqlglotError as error:
        raise _refused(f"it can't be read: {str(error).splitlines()[0]}") from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query | exp.Values):
        raise _refused("it is not one query")
    _check_tree(parsed[0])


def _check_tree(tree: exp.Query | exp.Values) -> None:
    for node in tree.walk():
        if isinstance(node, _WRITES):
            raise _refused(f"it contains {node.key.upper()}, which is more than reading")
        if isinstance(node, exp.Table):
            _check_table(node)
        elif isinstance(node, exp.Func):
            _check_function(_function(node))


def _check_table(table: exp.Table) -> None:
    if isinstance(table.this, exp.Func):
        name = _function(table.this)
        if name not in TABLE_FUNCTIONS:
            raise _refused(f"{name}(…) is no table of the lake", f"Functions that may stand for a table: {', '.join(sorted(TABLE_FUNCTIONS))}.")
        return
    _check_parts([part.name for part in table.parts])


def _check_parts(parts: Sequence[str]) -> None:
    """A table's name: not a format and a path."""
    if any(p.lower() in FORMATS or p.lower().startswith(("org.", "com.", "io.")) for p in parts[:-1]) or any(re.search(r"[/\\:]", p) for p in parts):
        raise _refused(
            f"{'.'.join(parts)} is a file or folder, not a table of the lake",
            "Tables have names such as silver.sensor_reading; see: lakehouse status. New files come in through a contract.",
        )


def _function(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _check_function(name: str) -> None:
    if name in FORBIDDEN_FUNCTIONS:
        raise _refused(f"{name}(…) can reach beyond the lake's tables")


def _check_tokens(tokens: Sequence[Token]) -> None:
    """The same by tokens alone, for what a syntax tree may hide."""
    for this, following in zip(tokens, tokens[1:], strict=False):
        if following.token_type is TokenType.L_PAREN:
            _check_function(this.text.lower())
        if this.text.upper() == "USING" and following.token_type is TokenType.STRING:
            raise _refused("it would start a program (USING '…')")


def _check_names(text: str) -> None:
    """SHOW and DESCRIBE only name things."""
    tokens = _tokens(text)
    _check_tokens(tokens)
    for name in _dotted(tokens):
        _check_parts(name)


def _dotted(tokens: Sequence[Token]) -> Iterator[list[str]]:
    """Names of one or more parts; a string may be a pattern, and is no name."""
    parts: list[str] = []
    for n, token in enumerate(tokens):
        if token.token_type is TokenType.DOT or token.token_type is TokenType.STRING:
            continue
        if parts and tokens[n - 1].token_type is not TokenType.DOT:
            yield parts
            parts = []
        parts.append(token.text)
    if parts:
        yield parts


def _where(error: ParseError) -> str:
    found = error.errors[0] if error.errors else {}
    return f" at line {found.get('line')}, column {found.get('col')}, near {str(found.get('highlight'))!r}: {found.get('description')}" if found else ""


def _refused(why: str, advice: str = "") -> QueryRefused:
    return QueryRefused(
        f"Refused: {why}. `lakehouse query` takes {_TAKEN}.",
        state="Nothing was sent to the engine.",
        next_step=advice or "Tables are written by lakehouse sync and lakehouse materialize, Gold by models of the dbt project.",
    )
