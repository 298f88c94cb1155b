"""What an error of the engine means where neither data nor statement are at fault: a full disk, the object store.

Not here: what an engine that does not start says (`launcher`), errors of those who read without Spark (`storage`).
"""

from __future__ import annotations

from lakehouse.errors import EngineError, LakehouseError
from lakehouse.settings import settings
from lakehouse.storage import s3

_FULL = ("No space left on device", "Disk quota exceeded")
_OBJECT_STORE = ("s3a", "software.amazon.awssdk")


def at_fault(text: str) -> LakehouseError | None:
    """The words for it, from an error's whole text with its trace; None when it is of another kind."""
    if any(word in text for word in _FULL):
        chosen = settings()
        return EngineError(
            "A disk is full: where the engine or one of its workers writes nothing more gets in.",
            state="What was committed before stays; what was not leaves no trace.",
            next_step=f"Make room below {chosen.warehouse} and {chosen.home} (on a cluster: each worker's LAKEHOUSE_HOME), then run the same command again.",
        )
    if any(word in text for word in _OBJECT_STORE):
        return s3.explain(settings().warehouse, OSError(text), settings())
    return None
