"""Generate the example business: all its files, day by day, and the truth about them.

The same seed, scale and first day give the same bytes. More days only add files; files that are there and right are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from demo.factory import Factory
from demo.landing import Landing
from demo.master import Master
from demo.production import Production
from demo.sales import Sales
from demo.truth import Truth
from demo.web import Web
from demo.world import LIMITS, World

DAYS, SCALE, SEED = 7, 1.0, 7
TRUTH = "truth.json"
Progress = Callable[[int, int, str], None]


class OtherBusiness(ValueError):
    """The folder holds files of another business (seed, scale or first day), or of more days: the two would mix."""


@dataclass(frozen=True)
class Span:
    """The days to generate."""

    first_day: date
    days: int

    @property
    def last_day(self) -> date:
        """The last of them."""
        return self.first_day + timedelta(days=self.days - 1)


def span(target: Path, days: int = DAYS, last_day: date | None = None) -> Span:
    """The days up to `last_day` (default: today, UTC). A folder that holds a business already keeps its first day and only grows."""
    last = last_day or datetime.now(UTC).date()
    there = _there(target)
    if there is None:
        return Span(last - timedelta(days=days - 1), days)
    return Span(there.first_day, max(there.days, (last - there.first_day).days + 1))


def generate(
    target: Path, *, days: int = DAYS, scale: float = SCALE, seed: int = SEED, first_day: date | None = None, progress: Progress | None = None
) -> Truth:
    """Write the files of `days` days from `first_day` (default: so that today is the last) below `target`, and `truth.json` beside them.

    `scale` multiplies readings, orders, clicks and customers. `progress` is told (days done, days, what was done).
    Raises `OtherBusiness` where the folder holds something that these days would not extend, `ValueError` for impossible sizes.
    """
    if days < 1 or scale <= 0:
        raise ValueError(f"days must be at least 1 and scale above 0, not {days} and {scale}")
    first_day = first_day or span(target, days).first_day
    _refuse_mixing(target, Truth(seed, scale, days, first_day))
    if _there(target) is None:  # an interrupted first run is then continued, not mixed with another
        target.mkdir(parents=True, exist_ok=True)
        Truth(seed, scale, 0, first_day).write(target / TRUTH)
    world, truth, landing = World(seed, scale, first_day), Truth(seed, scale, days, first_day), Landing(target)
    master = Master(world, landing, truth)
    sales = Sales(world, landing, truth, master)
    domains = (master, Factory(world, landing, truth), Production(world, landing, truth), sales, Web(world, landing, truth))
    for n in range(days):
        day = first_day + timedelta(days=n)
        for domain in domains:
            domain.day(day)
        if progress:
            progress(n + 1, days, str(day))
    sales.close()
    master.close()
    landing.close()
    truth.gold.close_health(LIMITS)
    truth.write(target / TRUTH)
    return truth


def _there(target: Path) -> Truth | None:
    """What `truth.json` says was generated, without the figures."""
    file = target / TRUTH
    if not file.exists():
        return None
    said = json.loads(file.read_text(encoding="utf-8"))
    return Truth(said["seed"], said["scale"], said["days"], date.fromisoformat(said["first_day"]))


def _refuse_mixing(target: Path, wanted: Truth) -> None:
    there = _there(target)
    if there and ((there.seed, there.scale, there.first_day) != (wanted.seed, wanted.scale, wanted.first_day) or there.days > wanted.days):
        raise OtherBusiness(
            f"{target} holds {there.days} days from {there.first_day} (seed {there.seed}, scale {there.scale:g}), "
            f"which {wanted.days} days from {wanted.first_day} (seed {wanted.seed}, scale {wanted.scale:g}) would not extend. "
            "Nothing was written. Use another folder, or remove this one."
        )
