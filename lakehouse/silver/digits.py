"""Decimals without a digit lost, wherever they stand in a record: their texts as the source wrote them, and whether a type holds all of their digits.

Spark takes a JSON number that becomes a text through a double, and rounds what it reads as a decimal. Texts in quotes it leaves alone; so numbers are put
into quotes first. Not here: other types (`types`).
"""

from __future__ import annotations

import re
from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.contracts.spark_types import family

_MARK, _BACKSLASH, _QUOTE = "\x01", "\x02", "\x03"  # no JSON text holds them as they are
_STRING_OR_NUMBER = r'("[^"]*+")|(-?[0-9][0-9.eE+-]*+)'
_FIELD = re.compile(r"\s*(`(?:[^`]|``)+`|\w+)\s*:\s*(.+)")


def quoted(json: Column) -> Column:
    """A JSON text with its numbers in quotes."""
    plain = F.replace(F.replace(json, F.lit("\\\\"), F.lit(_BACKSLASH)), F.lit('\\"'), F.lit(_QUOTE))
    marked = F.regexp_replace(plain, _STRING_OR_NUMBER, f"$1{_MARK}$2{_MARK}")
    told = F.replace(F.replace(marked, F.lit(_MARK * 2), F.lit("")), F.lit(_MARK), F.lit('"'))
    return F.replace(F.replace(told, F.lit(_QUOTE), F.lit('\\"')), F.lit(_BACKSLASH), F.lit("\\\\"))


def behind_the_point(text: Column) -> Column:
    """How many digits a number needs behind the point; of a text with an exponent it may be more than needed."""
    plain = F.when(text.contains("."), F.length(F.rtrim(F.substring_index(text, ".", -1), F.lit("0")))).otherwise(0)
    fraction = F.length(F.regexp_extract(text, r"\.([0-9]*?)0*[eE]", 1))
    exponent = F.coalesce(F.regexp_extract(text, r"[eE]([+-]?[0-9]+)$", 1).try_cast("int"), F.lit(0))
    return F.when(text.contains("e") | text.contains("E"), fraction - exponent).otherwise(plain)


def decimal_size(type_: str) -> tuple[int, int]:
    """Precision and scale of a decimal type."""
    found = re.search(r"\((\d+)\s*(?:,\s*(\d+))?\)", type_)
    return (int(found[1]), int(found[2] or 0)) if found else (10, 0)


def has_decimals(type_: str) -> bool:
    """Whether values of the type hold decimals somewhere."""
    return any(map(has_decimals, _inside(type_))) if _inside(type_) else family(type_) == "decimal"


def as_texts(type_: str) -> str:
    """The type of the same lists, maps and records, with texts for all values."""
    match family(type_), _inside(type_):
        case "array", (element,):
            return f"array<{as_texts(element)}>"
        case "map", (_, value):
            return f"map<string,{as_texts(value)}>"
        case "struct", fields:
            return "struct<" + ",".join(f"{name}:{as_texts(inner)}" for name, inner in zip(_names(type_), fields, strict=True)) + ">"
    return "string"


def loses(type_: str, texts: Column) -> Column:
    """Whether a value with these texts (`as_texts`) has a decimal that its type does not hold; never NULL."""
    match family(type_), _inside(type_):
        case "decimal", _:
            return texts.isNotNull() & (texts.try_cast(type_).isNull() | (behind_the_point(texts) > decimal_size(type_)[1]))
        case "array", (element,) if has_decimals(element):
            return F.coalesce(F.exists(texts, lambda text: loses(element, text)), F.lit(False))
        case "map", (_, value) if has_decimals(value):
            return F.coalesce(F.exists(F.map_values(texts), lambda text: loses(value, text)), F.lit(False))
        case "struct", fields:
            named = zip(_names(type_), fields, strict=True)
            return reduce(or_, [loses(inner, texts[name.strip("`")]) for name, inner in named if has_decimals(inner)], F.lit(False))
    return F.lit(False)


def _inside(type_: str) -> list[str]:
    """The types that a type is made of."""
    if family(type_) not in ("array", "map", "struct"):
        return []
    parts = _parts(type_[type_.index("<") + 1 : type_.rindex(">")])
    return [_FIELD.fullmatch(p)[2] for p in parts] if family(type_) == "struct" else parts  # type: ignore[index]  # contracts hold types that parse


def _names(type_: str) -> list[str]:
    return [_FIELD.fullmatch(p)[1] for p in _parts(type_[type_.index("<") + 1 : type_.rindex(">")])]  # type: ignore[index]  # as above


def _parts(text: str) -> list[str]:
    """Split at the commas that stand in no brackets and no backticks."""
    found, depth = [""], 0
    for token in re.findall(r"`(?:[^`]|``)+`|[<(]|[>)]|,|[^`<>(),]+", text):
        depth += (token in "<(") - (token in ">)")
        if token == "," and depth == 0:
            found.append("")
        else:
            found[-1] += token
    return [part.strip() for part in found]
