"""The reference of all commands and options as Markdown, taken from the commands themselves: `python -m lakehouse.cli.reference` writes docs/cli.md.

Not here: the words, which are the commands' own help.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from lakehouse.cli import COMMANDS, EPILOG, load
from lakehouse.settings import PROJECT, Settings

FILE = PROJECT / "docs" / "cli.md"
_HEAD = """# The command line

<!-- Written by `python -m lakehouse.cli.reference`; a test holds it against the commands. Change their help, not this file. -->

Everything here also works from Dagster's own tools: the command line is a convenience, not a second way. `lakehouse <command> --help` says the same.
"""
_DAGSTER = """## With Dagster's own tools

The lake's Dagster instance is the folder `dagster/` below `LAKEHOUSE_HOME`, with its settings in `dagster.yaml`, written by the first command that needs it.
From a clone, with the environment active:

```sh
export DAGSTER_HOME=$PWD/.lakehouse/dagster
dg launch --assets 'key:"*/sensor_reading"' --partition 2026-11-20   # what `lakehouse materialize '*/sensor_reading' --partition …` does
dagster-webserver -w workspace.yaml                                  # the web UI on its own; `lakehouse up` also starts the daemon
```

A Silver table and its quarantine are made in one step: `dg` wants both selected, `lakehouse` adds the other by itself.

A run with partitions is a rebuild of exactly these days; a run with the tag `lakehouse/mode: incremental` takes in what is new, which is what the sensor
and `lakehouse sync` start. Runs wait for each other per table (pools); different tables run side by side.
"""


def markdown() -> str:
    """The whole file."""
    parts = [_HEAD, _exit_codes(), _overview()]
    parts += [section for name in COMMANDS for section in _command(load(name), name, 2)]
    parts += [_DAGSTER, _settings()]
    return "\n".join(parts)


def _exit_codes() -> str:
    return re.sub(r"^Exit codes: (.*)$", r"Exit codes: \1", EPILOG.split("\n\n")[0]) + "\n"


def _overview() -> str:
    rows = [f"| [`lakehouse {name}`](#lakehouse-{name}) | {text} |" for name, text in COMMANDS.items()]
    return "\n".join(["| command | does |", "|---|---|", *rows]) + "\n"


def _command(command: Any, path: str, level: int) -> Iterator[str]:  # noqa: ANN401 - typer keeps its command types to itself
    inner = getattr(command, "commands", None)
    yield f"{'#' * level} lakehouse {path}\n\n{_flowing(command.help or '')}\n"
    if inner:
        for name, sub in inner.items():
            yield from _command(sub, f"{path} {name}", level + 1)
        return
    usage = " ".join(_usage(command))
    examples = "\n".join(line.removeprefix("Example: ") for line in (command.epilog or "").splitlines() if line.startswith("Example: "))
    yield f"```sh\nlakehouse {path}{' ' + usage if usage else ''}\n```\n"
    rows = [f"| {_names(p)} | {_flowing(p.help or '')} |" for p in parameters(command)]
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows]) + "\n"
    if examples:
        yield f"```sh\n{examples}\n```\n"


def parameters(command: Any) -> list[Any]:  # noqa: ANN401
    """Arguments and options, without `--help`."""
    return [p for p in command.params if p.name != "help"]


def _usage(command: Any) -> Iterator[str]:  # noqa: ANN401
    for p in parameters(command):
        if p.param_type_name == "argument":
            name = str(p.metavar or p.name).upper()
            yield (f"{name}" if p.required else f"[{name}]") + ("…" if p.nargs == -1 else "")
    if any(p.param_type_name == "option" for p in parameters(command)):
        yield "[OPTIONS]"


def _names(p: Any) -> str:  # noqa: ANN401
    if p.param_type_name == "argument":
        return f"`{str(p.metavar or p.name).upper()}`"
    names = [*sorted(p.opts, key=len, reverse=True), *p.secondary_opts]
    value = "" if p.is_flag else f" `{p.metavar or _kind(p.type_descriptor.annotation)}`"
    default = f"; default `{p.default}`" if p.default is not None and not isinstance(p.default, bool) and p.default != "" else ""
    return ", ".join(f"`{name}`" for name in names) + value.replace("|", "\\|") + default


def _kind(annotation: Any) -> str:  # noqa: ANN401
    """What an option's value is: the choices, or the kind of thing."""
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    some = [a for a in get_args(annotation) if a is not type(None)]
    return _kind(some[0]) if some else {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(annotation, "TEXT")


def _settings() -> str:
    rows = [f"| `LAKEHOUSE_{name.upper()}` | {field.description} |" for name, field in Settings.model_fields.items()]
    head = ["## Settings", "", "Environment variables; one that begins so and is none of these is an error.", "", "| variable | |", "|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _flowing(text: str) -> str:
    """Help as one paragraph each."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip())]
    return "\n\n".join(paragraphs)


if __name__ == "__main__":
    FILE.write_text(markdown(), "utf-8")
    sys.stdout.write(f"{FILE}\n")
