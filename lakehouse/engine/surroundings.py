"""What an error of the engine means where neither data nor statement are at fault: a full disk, a worker without jars, the object store.

Not here: what an engine that does not start says (`launcher`), errors of those who read without Spark (`storage`).
"""

from __future__ import annotations

from lakehouse.errors import EngineError, LakehouseError
from lakehouse.settings import settings
from lakehouse.storage import s3

_FULL = ("No space left on device", "File too large", "Disk quota exceeded")  # ENOSPC, EFBIG, EDQUOT, as Java tells them
_NO_JARS = ("S3AFileSystem not found", 'No FileSystem for scheme "s3a"')
_OBJECT_STORE = ("s3a", "software.amazon.awssdk")
_STATE = "What was committed before stays; what was not leaves no trace."


def no_room(text: str) -> bool:
    """Whether an error's text tells of a full disk."""
    return any(word in text for word in _FULL)


def at_fault(text: str) -> LakehouseError | None:
    """The words for it, from an error's whole text with its trace; None when it is of another kind."""
    chosen = settings()
    if no_room(text):
        where = f"{chosen.warehouse} and {chosen.home} (on a cluster: LAKEHOUSE_HOME of each worker)"
        return EngineError(
            "There is no room left to write, on a disk of the engine or of a worker.", state=_STATE, next_step=f"Make room below {where}, then run it again."
        )
    if any(word in text for word in _NO_JARS):
        return EngineError(
            "The engine or one of its workers lacks the jars for object stores.",
            state=_STATE,
            next_step="Start workers and engine with the same settings (LAKEHOUSE_WAREHOUSE, LAKEHOUSE_S3_REGION or _ENDPOINT): then each fetches them.",
        )
    return s3.explain(chosen.warehouse, OSError(text), chosen) if any(word in text for word in _OBJECT_STORE) else None
