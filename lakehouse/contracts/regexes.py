"""Regular expressions in contracts: they must mean the same to Python, which checks them, and to Java, which runs them. Not here: running them."""

from __future__ import annotations

import re

_PYTHON_ONLY = re.compile(r"\(\?P[<=>]|\(\?\(|\(\?[aLu]+[-:)]")
# Java's words for sets that Python's `re` lacks; a stand-in is enough to see whether the rest compiles.
_JAVA_ONLY = re.compile(r"\\[pP](?:\{\^?\w+(?:=\w+)?\}|[A-Z])|\\[hHRvVX]|\\x\{[0-9a-fA-F]+\}")


def check_regex(pattern: str) -> str | None:
    """Why a pattern is no regular expression for Java, or None."""
    if _PYTHON_ONLY.search(pattern):
        return f"{pattern!r} uses syntax that only Python knows ((?P…), (?(…), (?a)): write it for Java"
    literal = re.sub(r"\\Q(.*?)(\\E|$)", lambda m: re.escape(m[1]), pattern)
    try:
        re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", _JAVA_ONLY.sub(r"\\w", literal)))  # Java names groups (?<name>…)
    except re.error as error:
        return f"{pattern!r} is no regular expression: {error}"
    return None


def check_date_pattern(pattern: str) -> str | None:
    """Why a pattern can't find the day in a path: it needs one group (YYYY-MM-DD) or three (year, month, day), and both languages read it."""
    wrong = check_regex(pattern)
    if wrong:
        return wrong
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return f"{pattern!r} must be a regular expression that Python reads too: {error}"
    if groups not in (1, 3):
        return f"{pattern!r} has {groups} groups. Allowed: one (YYYY-MM-DD), or three (year, month, day); write (?:…) for others"
    return None


def check_time_pattern(pattern: str) -> str | None:
    """Why a pattern can't find the time in a path: it needs one to three groups (hour, minute, second). Python alone reads it."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return f"{pattern!r} is no regular expression: {error}"
    if not 1 <= groups <= 3:
        return f"{pattern!r} has {groups} groups. Allowed: one to three (hour, minute, second); write (?:…) for others"
    return None
