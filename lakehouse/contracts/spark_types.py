"""Spark SQL types as text: parsed, written one way, and compared with the standard's logical types. No Spark here.

Source of the grammar: https://spark.apache.org/docs/latest/sql-ref-datatypes.html
"""

from __future__ import annotations

import re

from lakehouse.contracts.mistakes import not_one_of

_ALIASES = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "dec": "decimal",
    "numeric": "decimal",
    "bool": "boolean",
}
SIMPLE = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary", "date", "timestamp")
KNOWN = (*SIMPLE, "decimal(p,s)", "array<…>", "map<…,…>", "struct<name: …>")
_REFUSED = {
    "varchar": "write string, and `maxLength` in logicalTypeOptions",
    "char": "write string, and `maxLength` in logicalTypeOptions",
    "text": "write string",
    "timestamp_ntz": "write timestamp, and `defaultTimezone` in logicalTypeOptions: everything is kept in UTC",
    "timestamp_ltz": "write timestamp",
    "datetime": "write timestamp",
    "json": "write string, or struct<…>",
    "number": "write decimal(p,s), double or bigint",
}
_WHOLE = ("tinyint", "smallint", "int", "bigint")
DEFAULTS = {"string": "string", "integer": "bigint", "number": "double", "boolean": "boolean", "date": "date", "timestamp": "timestamp", "time": "string"}
_FITS: dict[str, tuple[str, ...]] = {
    "string": ("string", "binary"),
    "integer": (*_WHOLE, "decimal"),
    "number": ("double", "float", "decimal", *_WHOLE),
    "boolean": ("boolean",),
    "date": ("date",),
    "timestamp": ("timestamp",),
    "time": ("string",),
    "object": ("struct", "map"),
    "array": ("array",),
    "map": ("map",),
    "vector": ("array",),
}
_TOKEN = re.compile(r"\s*(`(?:[^`]|``)+`|[A-Za-z_][A-Za-z0-9_]*|\d+|[<>(),:])")
_NAME = re.compile(r"[A-Za-z_]\w*$")


def parse_type(text: str) -> str:
    """The type as Spark's own `simpleString` writes it: `Array<Long>` gives `array<bigint>`. Raises `ValueError` saying what is wrong."""
    parser = _Parser(text)
    parsed = parser.type()
    if parser.peek():
        raise ValueError(f"{text!r} goes on after the type: {parser.peek()!r}")
    return parsed


def family(spark_type: str) -> str:
    """The type without its arguments: `decimal(10,2)` gives `decimal`."""
    return re.split(r"[(<]", spark_type, maxsplit=1)[0]


def misfit(logical: str, spark_type: str) -> str | None:
    """Why a Spark type can't hold a logical type, or None."""
    fits = _FITS.get(logical, ())
    if family(spark_type) not in fits:
        return f"{spark_type} can't hold logicalType {logical}. Allowed: {', '.join(fits)}"
    if logical == "integer" and spark_type.startswith("decimal") and not spark_type.endswith(",0)"):
        return f"{spark_type} has decimal places, and logicalType integer has none. Allowed: {', '.join(_WHOLE)}, decimal(p,0)"
    return None


_DIGITS = {"tinyint": 10, "smallint": 10, "int": 10, "bigint": 20}  # before the point, as Delta asks for
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)\Z")


def widens(old: str, new: str) -> bool:
    """Whether every value of one type is one of another, which a stored column can become without being written anew.

    Source: https://docs.delta.io/delta-type-widening/ (dates are left out: they would become times without a zone). Nested types are not widened.
    """
    wide, narrow = _DECIMAL.match(new), _DECIMAL.match(old)
    if wide and narrow:
        scale = int(wide[2]) - int(narrow[2])
        return old != new and int(wide[1]) - int(narrow[1]) >= scale >= 0
    if wide:
        return old in _DIGITS and int(wide[1]) - int(wide[2]) >= _DIGITS[old]
    if new == "double":
        return old in ("float", "tinyint", "smallint", "int")
    return old in _WHOLE and new in _WHOLE and _WHOLE.index(old) < _WHOLE.index(new)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.next = text, 0
        self.tokens: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if not match:
                raise ValueError(f"{text!r} is not a type: {stripped[position:]!r} can't be read")
            self.tokens.append(match[1])
            position = match.end()

    def peek(self) -> str:
        return self.tokens[self.next] if self.next < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise ValueError(f"{self.text!r} is not a type: {f'{expected!r} is missing' if expected else 'it ends too early'}")
        self.next += 1
        return token

    def type(self) -> str:
        word = self.take()
        name = _ALIASES.get(word.lower(), word.lower())
        if name == "decimal":
            return self._decimal()
        if name in ("array", "map", "struct"):
            return self._nested(name)
        if name in _REFUSED:
            raise ValueError(f"type {word!r} is not used here: {_REFUSED[name]}")
        if name not in SIMPLE:
            raise ValueError(not_one_of("type", word, KNOWN))
        return name

    def _decimal(self) -> str:
        precision, scale = 10, 0
        if self.peek() == "(":
            self.take("(")
            precision = self._size()
            if self.peek() == ",":
                self.take(",")
                scale = self._size()
            self.take(")")
        if not (1 <= precision <= 38 and scale <= precision):
            raise ValueError(f"{self.text!r}: decimal takes 1 to 38 digits, of which at most all are decimal places")
        return f"decimal({precision},{scale})"

    def _size(self) -> int:
        token = self.take()
        if not token.isdigit():
            raise ValueError(f"{self.text!r} is not a type: {token!r} should be a number of digits")
        return int(token)

    def _nested(self, name: str) -> str:
        self.take("<")
        if name == "array":
            inside = self.type()
        elif name == "map":
            inside = self.type()
            self.take(",")
            inside += f",{self.type()}"
        else:
            inside = self._fields()
        self.take(">")
        return f"{name}<{inside}>"

    def _fields(self) -> str:
        fields: dict[str, str] = {}
        while True:
            name = self.take().strip("`")
            if name.lower() in fields:
                raise ValueError(f"{self.text!r}: the field {name!r} stands twice")
            if self.peek() == ":":
                self.take(":")
            fields[name.lower()] = f"{name if _NAME.match(name) else f'`{name}`'}:{self.type()}"
            if self.peek() != ",":
                return ",".join(fields.values())
            self.take(",")
