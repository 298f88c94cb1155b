"""docker/compose.yaml as tests use it: read with its variables filled in, its commands and settings placed on loopback."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).resolve().parents[1] / "docker"
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:?[-?])([^}]*))?\}")


def filled(value: str, env: Mapping[str, str]) -> str:
    """With its variables, as Compose fills them in."""

    def one(found: re.Match[str]) -> str:
        name, sign, rest = found[1], found[2] or "", found[3] or ""
        set_ = name in env and (env[name] or ":" not in sign)
        if not set_ and sign.endswith("?"):
            raise KeyError(f"{name}: {rest}")
        return env[name] if set_ else rest

    return _VARIABLE.sub(one, value)


@cache
def compose() -> dict[str, Any]:
    """The file, anchors and merges resolved, variables not filled in."""
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return found


def command(service: str, places: Mapping[str, str]) -> list[str]:
    """A service's command; names and ports of the network stand for `places` of this machine."""
    return [places.get(word, word) for word in compose()["services"][service]["command"]]


def healthcheck(service: str, places: Mapping[str, str]) -> list[str]:
    """What its health check runs; ports that stand in a program's text are placed, too."""
    words = [places.get(word, word) for word in compose()["services"][service]["healthcheck"]["test"][1:]]
    return [re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: places.get(port[0], port[0]), word) for word in words]


def volume_of(service: str) -> str:
    """The volume that it keeps its data on; empty for one that has none."""
    return str(next(iter(compose()["services"][service].get("volumes", ())), "")).partition(":")[0]


def environment(service: str, env: Mapping[str, str], places: Mapping[str, str]) -> dict[str, str]:
    """A service's variables, in the same way; one without a value is passed on where it is set."""
    given = compose()["services"][service]["environment"].items()
    told = {name: env[name] if value is None else filled(str(value), env) for name, value in given if value is not None or name in env}
    return {name: places.get(value, value) for name, value in told.items()}
