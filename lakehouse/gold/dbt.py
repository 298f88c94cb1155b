"""dbt in this process: the project parsed once and kept, a build whose results become Dagster's events as they come.

dagster-dbt's own resource starts two dbt processes for each build (one only asks for the version), which cost seconds that a warm process has paid already
(docs/adr/0012). Its translator and its reading of dbt's events are used as they are. Not here: what to build (`gold.assets`), what is stale (`gold.progress`).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from lakehouse.errors import DataError, SetupError
from lakehouse.settings import settings

if TYPE_CHECKING:  # importing dbt takes seconds
    import dagster as dg
    from dagster_dbt import DagsterDbtTranslator
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

_ONE_AT_A_TIME = threading.RLock()  # dbt keeps flags, loggers and adapters in globals of the process
_PARSED: dict[tuple[Path, int, int], Manifest] = {}
_ENDPOINTS = ("DBT_LAKEHOUSE_HOST", "DBT_LAKEHOUSE_PORT", "DBT_LAKEHOUSE_CODEGEN")
_MOST_WORDS = 12

Event = dict[str, Any]  # as dbt's log in JSON has it
Events = SimpleQueue[Event | None]


def parse(project: Path) -> Manifest:
    """The project as dbt understands it, its manifest written to `target/`. Touches no database. Raises `SetupError` with dbt's words."""
    if not (project / "dbt_project.yml").is_file():
        raise SetupError(f"There is no dbt project in {project}.", next_step="Set LAKEHOUSE_DBT_PROJECT to the folder with dbt_project.yml.")
    with _ONE_AT_A_TIME, _without_endpoints():
        youngest = _youngest(project)
        manifest: Manifest = _heard(["--no-write-json", "parse"], project).result  # type: ignore[assignment]
        # Written here, since dbt writes it in place: another process would read half of it.
        written = project / "target" / f"manifest-{os.getpid()}.json"
        manifest.write(str(written))  # type: ignore[no-untyped-call]
        _put(written, project / "target" / "manifest.json", youngest)
    return manifest


def compile_to(file: Path, project: Path) -> None:
    """Write the manifest with every model's SQL, for all days. Touches no database. Raises `SetupError` with dbt's words."""
    with _ONE_AT_A_TIME, _without_endpoints():
        youngest, manifest = _youngest(project), parsed(project)
        with tempfile.TemporaryDirectory(dir=file.parent) as target:  # in `target/` it would take the place of the manifest without SQL
            options = ("--no-introspect", "--no-populate-cache", "--select", "resource_type:model", "--target-path", target)
            _heard(["compile", *options], project, manifest)
            _put(Path(target, "manifest.json"), file, youngest)


def is_current(file: Path) -> bool:
    """Whether a file that dbt made of the project is there, and none of the project is younger."""
    return file.exists() and file.stat().st_mtime_ns >= _youngest(file.parents[1])


def _youngest(project: Path) -> int:
    """When a file of the project was last written, made or removed, in nanoseconds."""
    folders = [project / name for name in ("models", "macros", "tests")]
    files = [project / "dbt_project.yml", project / "profiles.yml", *(f for folder in folders if folder.is_dir() for f in (folder, *folder.rglob("*")))]
    return max((f.stat().st_mtime_ns for f in files if f.exists()), default=0)


def _put(written: Path, file: Path, youngest: int) -> None:
    """Give what dbt made of the project its place, and the time of what it was made from: an edit while dbt was at it is younger."""
    os.utime(written, ns=(youngest, youngest))
    written.replace(file)


def _heard(command: list[str], project: Path, manifest: Manifest | None = None) -> dbtRunnerResult:
    """What dbt did, silently. Raises `SetupError` with its words when it could not."""
    said: list[str] = []
    done = _invoke(["--log-level", "none", "--log-level-file", "none", *command], project, lambda event: _keep_error(event, said), manifest)
    if not done.success or done.result is None:
        words = "\n".join(said) or str(done.exception)
        raise SetupError(f"dbt can't {command[0]} the project in {project}:\n{words[-2000:]}", next_step="Correct the model, then run the same command again.")
    return done


def parsed(project: Path) -> Manifest:
    """The same, kept for as long as the manifest in `target/` is the one it was parsed with, and no file of the project is younger."""
    file = project / "target" / "manifest.json"
    with _ONE_AT_A_TIME:
        youngest = _youngest(project)
        key = (project, youngest, file.stat().st_mtime_ns if file.exists() else 0)
        if key not in _PARSED:
            manifest = parse(project)
            _PARSED.clear()
            _PARSED[project, youngest, file.stat().st_mtime_ns] = manifest
            return manifest
        return _PARSED[key]


@dataclass(frozen=True)
class Build:
    """One `dbt build`: the models to make, with their tests, and what of the selection stays out."""

    select: Sequence[str]
    exclude: Sequence[str]
    buildable: bool  # only tests all of whose models are made

    def arguments(self) -> list[str]:
        """As dbt's command line has them. Unit tests are for development: they say nothing of the data."""
        words = ["build", "--exclude-resource-type", "unit_test", "--select", *self.select]
        words += ["--exclude", *self.exclude] if self.exclude else []
        return words + (["--indirect-selection", "buildable"] if self.buildable else [])


def run(
    build: Build, told: Mapping[str, str], context: dg.AssetExecutionContext, manifest: Mapping[str, Any], translator: DagsterDbtTranslator
) -> Iterator[Any]:
    """Build, and yield Dagster's event of each model and test once it is done. `told` becomes environment variables `DBT_LAKEHOUSE_…`.

    Raises `DataError` with dbt's words; what other models committed stays. An interrupted step cancels dbt's statements.
    """
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    events: Events = SimpleQueue()
    said: list[str] = []
    with _ONE_AT_A_TIME:
        worker = _Worker(build, told, parsed(settings().dbt_project), events)
        worker.start()
        try:
            while (event := events.get()) is not None:
                _keep_error(event, said)
                message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
                yield from message.to_default_asset_events(manifest, translator, context)
        except BaseException:
            _cancel()
            raise
        finally:
            worker.join()
    if worker.done is None or not worker.done.success:
        raise _failed(said, worker)


class _Worker(threading.Thread):
    """dbt beside the step, so that its results are told while it goes on."""

    def __init__(self, build: Build, told: Mapping[str, str], manifest: Manifest, events: Events) -> None:
        super().__init__(name="dbt", daemon=True)
        self._build, self._told, self._manifest, self._events = build, told, manifest, events
        self.done: dbtRunnerResult | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        """dbt, from beginning to end; the last thing in the queue is None."""
        project, logs = settings().dbt_project, settings().home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(prefix="dbt-") as target, _environment(self._told):
                command = ["--no-use-colors", "--log-path", str(logs), "--no-write-json", *self._build.arguments(), "--target-path", target]
                self.done = _invoke(command, project, self._events.put, self._manifest)
        except Exception as error:  # noqa: BLE001 - it belongs to the thread that waits, which raises it
            self.error = error
        finally:
            self._events.put(None)


def _invoke(command: list[str], project: Path, hear: Callable[[Event], None], manifest: Manifest | None = None) -> dbtRunnerResult:
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    def told(event: Any) -> None:  # noqa: ANN401 - a protobuf message, whose fields its class does not declare
        if event.info.level != "debug":  # thousands
            hear(msg_to_dict(event))

    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    # dbt compiles into the manifest that it is given, and takes ephemeral models that are compiled there for current: those of other days.
    own = manifest.deepcopy() if manifest is not None else None  # type: ignore[no-untyped-call]
    with contextlib.chdir(project):  # dbt goes there and does not come back
        return dbtRunner(manifest=own, callbacks=[told]).invoke([*command, "--project-dir", str(project), "--profiles-dir", str(project)])


def _keep_error(event: Event, said: list[str]) -> None:
    if event["info"]["level"] == "error":
        said += [line.strip() for line in event["info"]["msg"].splitlines() if line.strip()]


def _failed(said: list[str], worker: _Worker) -> Exception:
    if worker.error is not None:
        return worker.error
    cause = worker.done.exception if worker.done is not None else None
    words = list(dict.fromkeys(said)) or [str(cause or "it gave no reason")]
    return DataError(
        "dbt says:\n" + "\n".join(f"  {line}" for line in words[:_MOST_WORDS]),
        state="Marts that dbt finished are committed; the others are as they were.",
        next_step=f"dbt's own log: {settings().home / 'logs' / 'dbt.log'}. When it is mended: lakehouse sync",
    )


def _cancel() -> None:
    """Cancel the statements that dbt has open; its threads end with an error."""
    from dbt.adapters.factory import FACTORY

    for adapter in list(FACTORY.adapters.values()):
        list(adapter.connections.cancel_open())


@contextlib.contextmanager
def _environment(told: Mapping[str, str]) -> Iterator[None]:
    """What the project and its profile read; variables on dbt's command line would make it parse everything anew."""
    before = {name: os.environ.get(f"DBT_LAKEHOUSE_{name}") for name in told}
    os.environ.update({f"DBT_LAKEHOUSE_{name}": value for name, value in told.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            _set(f"DBT_LAKEHOUSE_{name}", value)


@contextlib.contextmanager
def _without_endpoints() -> Iterator[None]:
    """What dbt keeps of its parsing is good for any engine only when it was parsed for none."""
    before = {name: os.environ.pop(name, None) for name in _ENDPOINTS}
    try:
        yield
    finally:
        for name, value in before.items():
            _set(name, value)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
