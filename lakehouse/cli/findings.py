"""The checks of `lakehouse doctor`, one function each: look, and say what was found. None changes or starts anything, dbt's manifest apart.

Not here: running and showing them (`doctor`).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata as packages
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from lakehouse.cli import supervisor
from lakehouse.cli.instance import TEMPLATE, daemon_reports, dagster_home, open_instance, prepare
from lakehouse.cli.output import plural, size
from lakehouse.cli.services import CODE, DAEMON, SERVICES, WEB
from lakehouse.contracts.dbt_sources import FILE, is_stale, lost
from lakehouse.contracts.loader import check_folder, load_contracts
from lakehouse.engine import aot, catalog, launcher
from lakehouse.engine.config import engine_config, java_version
from lakehouse.engine.jars import S3_LOCK, ensure_jars, jars_folder, read_lock, s3_folder
from lakehouse.engine.lease import holder
from lakehouse.engine.metadata import open_table
from lakehouse.errors import DataError, StorageError
from lakehouse.gold.marts import lake_marts
from lakehouse.services import background
from lakehouse.settings import PROJECT, settings
from lakehouse.storage import check
from lakehouse.storage.s3 import bucket_of, is_s3
from lakehouse.storage.swap import keeps_its_word

OLDEST = (3, 11)
LITTLE_DISK = 2 * 1024**3
WRONG_CLOCK = 60  # seconds
WAITED_FOR_WORKERS = 20  # seconds
_SETUP = "make setup"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` is what to do about it."""

    name: str
    level: Literal["ok", "note", "problem"]
    text: str
    mend: str = ""


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        yield Finding("Python", "problem", f"Python {version} is too old; 3.11 or newer is needed.", "make setup PYTHON=/path/to/python3.11")
    else:
        yield Finding("Python", "ok", f"{version} in {sys.prefix}")


def _packages() -> Iterator[Finding]:
    lock = PROJECT / "requirements" / "runtime.txt"
    if not lock.is_file():
        yield Finding("packages", "note", "There is no lock file here to hold the packages against; this is no clone of the project.")
        return
    lines = [line.rstrip("\\ ") for line in lock.read_text("utf-8").splitlines() if line[:1].isalnum()]
    pins = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate()]
    wrong = [f"{r.name} is {_version(r.name)}, locked is {str(r.specifier).lstrip('=')}" for r in pins if not r.specifier.contains(_version(r.name), True)]
    if wrong:
        yield Finding("packages", "problem", "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""), _SETUP)
    else:
        yield Finding("packages", "ok", f"{plural(len(pins), 'package')} as locked")


def _version(name: str) -> str:
    try:
        return packages.version(name)
    except packages.PackageNotFoundError:
        return "0"  # no version anybody locks


def _java() -> Iterator[Finding]:
    config = engine_config(settings())
    if os.access(config.java, os.X_OK):
        yield Finding("Java", "ok", f"{java_version()}, Spark {packages.version('pyspark')}")
    else:
        yield Finding("Java", "problem", f"{config.java} can't be executed.", _SETUP)


def _jars() -> Iterator[Finding]:
    missing = [jar.filename for jar in read_lock() if not (jars_folder() / jar.filename).exists()]
    if missing:
        yield Finding("jars", "problem", f"{', '.join(missing)}: not in {jars_folder()}.", _SETUP)
        return
    yield Finding("jars", "ok", f"{plural(len(ensure_jars()), 'jar')} with the locked sha256")  # nothing is missing, so nothing is fetched
    if settings().uses_s3:
        lacking = [jar for jar in read_lock(S3_LOCK) if not (s3_folder() / jar.filename).exists()]
        have = f"{plural(len(lacking), 'jar')} for object stores to fetch (13 MB); the engine's start does it" if lacking else "those for object stores, too"
        yield Finding("jars", "note" if lacking else "ok", have, f"{sys.executable} -m lakehouse.engine.jars s3" if lacking else "")


def _storage() -> Iterator[Finding]:
    """Object stores: keys, bucket, region, clock. A folder is looked at by `_home`."""
    failed = set[str]()
    for name, url in (("warehouse", settings().warehouse), ("landing", settings().landing)):
        if not is_s3(url) or bucket_of(url) in failed:
            continue
        try:
            ahead = check(url)
        except StorageError as error:
            failed.add(bucket_of(url))
            yield Finding("storage", "problem", error.what, error.next_step or "")
            continue
        if abs(ahead) > WRONG_CLOCK:
            yield Finding(
                name, "problem", f"The clock of the object store and this machine's are {abs(ahead):.0f} s apart; at 900 s it says no.", "Set the clock (NTP)."
            )
        elif name == "warehouse" and not keeps_its_word(url):
            yield Finding(name, "problem", "The object store does not know conditional PUT, so that no engine can own the lake.", "Use a server that does.")
        else:
            yield Finding(name, "ok", f"{url} answers")


def _aot() -> Iterator[Finding]:
    if settings().engine == "remote":
        return
    cache = aot.cache_file(engine_config(settings()))
    if cache.is_file():
        yield Finding("AOT cache", "ok", f"{size(cache.stat().st_size)}: the engine starts three times faster")
    else:
        yield Finding("AOT cache", "note", "None for this Java and these jars: the engine only starts slower.", "lakehouse engine warm --background")


def _home() -> Iterator[Finding]:
    home = settings().home
    place = next(p for p in (home, *home.parents) if p.exists())
    if not os.access(place, os.W_OK):
        yield Finding("home", "problem", f"{place} can't be written.", "Set LAKEHOUSE_HOME to a folder of yours.")
        return
    free = shutil.disk_usage(place).free
    if free < LITTLE_DISK:
        yield Finding("home", "problem", f"Only {size(free)} are free below {place}.", f"Make room, or move {home} and set LAKEHOUSE_HOME.")
    else:
        yield Finding("home", "ok", f"{home}, {size(free)} free" + ("" if home.exists() else " (not made yet)"))


def _tables() -> Iterator[Finding]:
    """Room for the tables where they lie elsewhere than in the home; tables whose protocol is newer than this version."""
    place = next((p for p in (Path(settings().warehouse), *Path(settings().warehouse).parents) if p.exists()), None)
    free = LITTLE_DISK if place is None or is_s3(settings().warehouse) else shutil.disk_usage(place).free
    if free < LITTLE_DISK:
        yield Finding("tables", "problem", f"Only {size(free)} are free below {place}.", "Make room: lakehouse maintain, or a larger volume.")
    tables, unknown = catalog.table_folders(), 0
    for table in tables:
        try:
            open_table(table)
        except DataError as error:
            unknown += 1
            yield Finding("tables", "problem", error.what, error.next_step or "")
    if not unknown:
        yield Finding("tables", "ok", f"{plural(len(tables), 'table')} can be read")


def _contracts() -> Iterator[Finding]:
    checked = check_folder(settings().contracts) if settings().contracts.is_dir() else []
    mistakes = sum(len(c.mistakes) for c in checked)
    if not checked:
        yield Finding("contracts", "problem", f"There is none in {settings().contracts}.", "lakehouse contract infer <sample file>, or set LAKEHOUSE_CONTRACTS")
    elif mistakes:
        yield Finding("contracts", "problem", f"{plural(mistakes, 'mistake')} in {settings().contracts}.", "lakehouse contract lint")
    else:
        yield Finding("contracts", "ok", f"{plural(len(checked), 'contract')}, no mistake")


def _dbt() -> Iterator[Finding]:
    """Only dbt can say whether it can parse the project: it does when its manifest is old, as the next command would."""
    project = settings().dbt_project
    if not (project / "dbt_project.yml").is_file():
        yield Finding("dbt", "problem", f"There is no dbt project in {project}.", "Set LAKEHOUSE_DBT_PROJECT to its folder.")
        return
    contracts = load_contracts(settings().contracts)
    others = lost(project, contracts)
    if not others and is_stale(project / FILE, contracts):
        yield Finding("dbt", "problem", f"{project / FILE} does not say what the contracts say.", "lakehouse contract sources")
        return
    marts = lake_marts(contracts)
    for why in dict.fromkeys(marts.elsewhere.values()):
        left_out = ", ".join(name for name, given in marts.elsewhere.items() if given == why)
        yield Finding("dbt", "note", f"Left out: {left_out}. {why}", "Marts of its own: docs/add-a-table.md, section 5")
    for name, why in marts.refused.items():
        yield Finding("dbt", "problem", f"{name} is left out, and a table of it stays as it is. {why}", "docs/add-a-table.md, section 5, has what a mart needs")
    for model in marts.models:
        if model.others and model.materialized != "view":
            text = f"{model.name} follows Silver alone: of a change of {', '.join(sorted(model.others))} it notices nothing."
            yield Finding("dbt", "note", text, f"After such a change: lakehouse materialize gold/{model.name} --recreate")
    if not marts.elsewhere and not marts.refused:
        yield Finding("dbt", "ok", "sources as the contracts say, manifest current")


def _engine() -> Iterator[Finding]:
    found = launcher.engine_status()
    if found.state == "not answering":
        yield Finding("engine", "problem", f"Its process {found.endpoints.pid if found.endpoints else ''} runs but does not answer.", "lakehouse engine stop")
    elif found.state == "running" and not found.current:
        yield Finding("engine", "note", "It runs with an older configuration.", "lakehouse engine stop (any command starts it again)")
    elif found.state == "remote":
        yield from _remote(found.endpoints.connect_url if found.endpoints else "")
    else:
        yield Finding("engine", "ok", found.state + (" (any command that needs it starts it)" if found.state == "stopped" else ""))


def _remote(url: str) -> Iterator[Finding]:
    """What an engine that others run says by itself: dbt and whoever else comes to its Thrift door is told nothing by us."""
    from pyspark.sql.connect.session import SparkSession

    from lakehouse.engine.config import MEANING
    from lakehouse.engine.session import connect

    connect().stop()  # whether it takes us at all
    spark, wanted = SparkSession.builder.remote(url).create(), packages.version("pyspark")  # a session that was told nothing
    try:
        version = str(spark.version)
        has = {key: spark.conf.get(key, None) for key in MEANING}
    finally:
        spark.stop()
    other = version.split(".")[:2] != wanted.split(".")[:2]
    if other:
        yield Finding("engine", "problem", f"The engine at {url} is Spark {version}; this version of lakehouse is made for {wanted}.", "Use an engine of that.")
    wrong = [key for key, value in MEANING.items() if has[key] != value]
    if wrong:
        needed, found = (", ".join(f"{key}={values[key]}" for key in wrong) for values in (MEANING, has))
        yield Finding("engine", "problem", f"The engine at {url} has {found}: its Thrift door gives other answers.", f"Start it with: {needed}")
    if not wrong and not other:
        yield Finding("engine", "ok", f"remote, at {url}, Spark {version}")


def _workers() -> Iterator[Finding]:
    """Whether somebody takes what the engine of a cluster gives out: without workers that are large enough it waits, and says so only in its log."""
    chosen = settings()
    if launcher.engine_status().state not in ("running", "remote") or (chosen.engine == "embedded" and chosen.spark_master.startswith("local")):
        return
    from lakehouse.engine.session import connect

    spark = connect()
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(spark.range(1).repartition(1).count).result(WAITED_FOR_WORKERS)
        yield Finding("workers", "ok", "work is done")
    except TimeoutError:
        spark.interruptAll()
        text = f"For {WAITED_FOR_WORKERS} s nobody has taken a task of the engine's: it has no worker, none that is large enough, or all are busy."
        large = "--cores and --memory at least LAKEHOUSE_EXECUTOR_CORES and LAKEHOUSE_EXECUTOR_MEMORY of the engine"
        again = "where such workers are there, restart the engine (lakehouse engine stop, or its container)"
        yield Finding("workers", "problem", text, f"lakehouse engine worker spark://… with {large}; {again}")
    finally:
        pool.shutdown()
        spark.stop()


def _owner() -> Iterator[Finding]:
    """Another engine that has the lake, or had it and did not say goodbye."""
    found = holder(settings().warehouse)
    if found is None or settings().engine != "embedded":
        return
    owner, age = found
    if owner.home != str(settings().home) or owner.seen is None:  # in containers every home has the same name
        said = f", which said so {age:.0f} s ago" if age else ""
        yield Finding("lease", "note", f"The lake belongs to {owner}{said}.", "Stop that engine before this one is to start.")


def _catalogue() -> Iterator[Finding]:
    """Tables on disk that the catalogue does not know; only the running engine can tell."""
    if launcher.engine_status().state not in ("running", "remote"):
        yield Finding("catalogue", "note", "The engine does not run, so it can't be asked which tables it knows.")
        return
    from lakehouse.engine.session import connect

    spark = connect()
    try:
        folders = catalog.table_folders()
        unknown = [str(t) for t in folders if not spark.catalog.tableExists(f"{t.layer}.{t.name}")]
    finally:
        spark.stop()
    if unknown:
        yield Finding("catalogue", "problem", f"Tables on disk that it does not know: {', '.join(unknown)}.", "lakehouse engine rebuild-catalog")
    else:
        yield Finding("catalogue", "ok", f"knows {plural(len(folders), 'table')}, all there are")


def _instance() -> Iterator[Finding]:
    file = dagster_home() / "dagster.yaml"
    if not file.exists():
        yield Finding("Dagster", "ok", f"no settings yet; the first command writes {file}")
    elif file.read_text("utf-8") != TEMPLATE.read_text("utf-8"):
        yield Finding("Dagster", "note", f"{file} differs from this version's settings: yours, or an older one.", f"For the defaults: rm {file}")
    else:
        yield Finding("Dagster", "ok", f"settings as written, in {file}")


def _processes() -> Iterator[Finding]:
    """Files that outlived their process, and a daemon that runs but does not report."""
    home = settings().home
    every = (*SERVICES, supervisor.NAME)
    alive, stale = [name for name in every if background.find(home, name)], supervisor.gone(home, every)
    if stale:
        yield Finding("processes", "problem", f"{', '.join(stale)} ended without `lakehouse down`: killed, or the machine was restarted.", "lakehouse up")
    elif not alive and settings().engine == "remote" and _reported():
        yield from _heartbeats()
    elif not alive:
        yield Finding("processes", "ok", "the web UI and the daemon do not run (lakehouse up starts them)")
    else:
        web = background.find(home, WEB)
        yield Finding("processes", "ok", f"{', '.join(alive)} run" + (f"; the web UI is at {web.url}" if web else ""))
    if DAEMON in alive and CODE in alive:
        yield from _heartbeats()


def _reported() -> bool:
    with open_instance() as instance:
        return daemon_reports(instance)


def _heartbeats() -> Iterator[Finding]:
    prepare()
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        silent = sorted(name for name, status in instance.get_daemon_statuses().items() if status.required and not status.healthy)
    if silent:
        log = Path(settings().home) / "logs" / f"{DAEMON}.log"
        yield Finding("daemon", "problem", f"No sign of life, or errors, from: {', '.join(silent)}. Its log: {log}", "lakehouse up --restart")
    else:
        yield Finding("daemon", "ok", "all its parts report")


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "Python": _python,
    "packages": _packages,
    "Java": _java,
    "jars": _jars,
    "AOT cache": _aot,
    "home": _home,
    "storage": _storage,
    "tables": _tables,
    "contracts": _contracts,
    "dbt": _dbt,
    "Dagster": _instance,
    "processes": _processes,
    "engine": _engine,
    "workers": _workers,
    "lease": _owner,
    "catalogue": _catalogue,
}

# Those that ask where another has asked already: after a problem there they would only repeat it.
AFTER = {"tables": ("storage",), "workers": ("engine",), "lease": ("storage",), "catalogue": ("storage", "engine")}
