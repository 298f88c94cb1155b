"""Why a step failed, in words: the platform's own error from beneath Dagster's, or the first line of anybody else's.

Not here: running (`cli.runner`), showing (`cli.failures`), alerting (`alerts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakehouse import errors
from lakehouse.engine.session import brief
from lakehouse.engine.surroundings import at_fault

if TYPE_CHECKING:
    import dagster as dg

_OURS = {name for name in vars(errors) if isinstance(getattr(errors, name), type)}
_INTERRUPTED = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")


def reasons(event: dg.DagsterEvent) -> tuple[str, ...]:
    """What a step's failure says, line by line."""
    data: Any = event.event_specific_data
    error = data.error if data else None
    if error is None:
        return ("It gave no reason.",)
    while error.cause is not None and error.cls_name not in _OURS:
        error = error.cause
    return _words(error.cls_name or "", error.message)


def interrupted(event: dg.DagsterEvent) -> bool:
    """Whether the step ended because of Ctrl-C."""
    data: Any = event.event_specific_data
    error = data.error if data else None
    while error is not None:
        if error.cls_name in _INTERRUPTED:
            return True
        error = error.cause
    return False


def _words(kind: str, message: str) -> tuple[str, ...]:
    text = message.strip()
    own = text.partition(": ")[2] or text  # the message begins with the class's name
    if kind in _OURS:
        return tuple(own.splitlines())
    if "JVM stacktrace" in text or text.startswith("pyspark."):
        known = at_fault(text)
        if known is not None:
            return tuple(str(known).splitlines())
        return (f"The engine says: {brief(ValueError(own), 1)}",)
    return (f"{kind}: {own.splitlines()[0] if own else 'no message'}",)
