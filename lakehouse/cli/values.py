"""Values of a query's rows as text and as JSON, by their Spark type: exact decimals, UTC times, nothing rounded or lost.

Not here: fetching rows (`query`).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import types as T


def to_json(value: Any, kind: T.DataType) -> str:  # noqa: ANN401 - whatever a row holds
    """A value as JSON. Decimals are numbers with all their digits; NaN and the infinities, which JSON lacks, are strings."""
    if value is None:
        return "null"
    for types, write in _WRITERS:
        if isinstance(kind, types):
            return write(value, kind)
    return json.dumps(str(value), ensure_ascii=False)


def to_text(value: Any, kind: T.DataType) -> str:  # noqa: ANN401
    """A value for a table or a CSV field: as in JSON, without the quotes; nothing for NULL."""
    if value is None:
        return ""
    if isinstance(kind, T.StringType):
        return str(value)
    text = to_json(value, kind)
    return str(json.loads(text)) if text.startswith('"') else text


def object_of(row: Any, fields: list[T.StructField]) -> str:  # noqa: ANN401
    """A row as a JSON object. A name that stands twice gets a number, since an object can't hold it twice."""
    pairs, seen = [], set()
    for value, field in zip(row, fields, strict=True):
        name, number = field.name, 2
        while name in seen:
            name, number = f"{field.name}_{number}", number + 1
        seen.add(name)
        pairs.append(f"{json.dumps(name, ensure_ascii=False)}: {to_json(value, field.dataType)}")
    return "{" + ", ".join(pairs) + "}"


def is_number(kind: T.DataType) -> bool:
    """Whether it is shown to the right."""
    return isinstance(kind, T.NumericType)


def _real(value: Any, _: T.DataType) -> str:  # noqa: ANN401
    if math.isfinite(value):
        return repr(float(value))
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _time(value: datetime, _: T.DataType) -> str:
    aware = value.astimezone(UTC) if value.tzinfo else value  # PySpark's are naive, in the process's zone: UTC, as `query` sets it
    return json.dumps(aware.replace(tzinfo=None).isoformat() + "Z")


def _list(value: Any, kind: Any) -> str:  # noqa: ANN401
    return "[" + ", ".join(to_json(item, kind.elementType) for item in value) + "]"


def _map(value: Any, kind: Any) -> str:  # noqa: ANN401
    pairs = (f"{json.dumps(to_text(k, kind.keyType), ensure_ascii=False)}: {to_json(v, kind.valueType)}" for k, v in value.items())
    return "{" + ", ".join(pairs) + "}"


_Writer = Callable[[Any, Any], str]
_WRITERS: tuple[tuple[type | tuple[type, ...], _Writer], ...] = (
    (T.BooleanType, lambda v, _: "true" if v else "false"),
    (T.IntegralType, lambda v, _: str(int(v))),
    (T.DecimalType, lambda v, _: format(v, "f")),
    ((T.FloatType, T.DoubleType), _real),
    (T.TimestampType, _time),
    ((T.DateType, T.TimestampNTZType), lambda v, _: json.dumps(v.isoformat())),
    (T.BinaryType, lambda v, _: json.dumps(base64.b64encode(v).decode())),
    (T.ArrayType, _list),
    (T.MapType, _map),
    (T.StructType, lambda v, kind: object_of(v, kind.fields)),
    (T.VariantType, lambda v, _: v.toJson()),
)
