"""Web clicks as JSON lines, a file an hour: sessions on their way to a purchase, bots, and faults.

Sessions never cross midnight, and a visitor's sessions are hours apart, so every sensible definition of a session counts the same.
Not here: which orders the purchases made (`world`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from zlib import crc32

from demo.landing import Landing
from demo.text import CET, glued, json_line, repeated_field, truncated, utc
from demo.truth import Truth
from demo.world import World

LATENESS = 1
_BROWSERS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Mozilla/5.0 (Macintosh) Safari/605.1", "Mozilla/5.0 (Windows NT 10.0) Chrome/141.0", None)


@dataclass(frozen=True)
class Click:
    """One version of a click."""

    id: str
    visitor: str
    page: str
    action: str
    product: str | None
    order: str | None
    agent: str | None
    time: datetime

    def record(self) -> dict[str, Any]:
        """The record as the shop writes it: what is empty is left out."""
        record = {
            "click_id": self.id,
            "visitor_id": self.visitor,
            "page": self.page,
            "action": self.action,
            "product_id": self.product,
            "order_id": self.order,
            "user_agent": self.agent,
            "ts": self.time.astimezone(CET).isoformat(timespec="milliseconds"),
        }
        return {k: v for k, v in record.items() if v is not None}

    def line(self) -> bytes:
        """The record as a line."""
        return json_line(self.record())


Fault = tuple[Callable[[Click], bytes], tuple[str, ...]]
_FAULTS: tuple[Fault, ...] = (
    (lambda c: truncated(c.line()), ("malformed",)),
    (lambda c: glued(c.line()), ("malformed",)),
    (lambda c: json_line(c.record() | {"action": "hover"}), ("action_in_set",)),
    (lambda c: json_line({k: v for k, v in c.record().items() if k != "visitor_id"}), ("visitor_id_required",)),
    (lambda c: json_line(c.record() | {"ts": "yesterday"}), ("event_time_type",)),
    (lambda c: json_line(c.record() | {"ts": 1763712000}), ("event_time_type",)),
    (lambda c: json_line(c.record() | {"page": "/" + "x" * 300}), ("page_length",)),
    (lambda c: json_line(c.record() | {"product_id": "toy7"}), ("product_id_pattern",)),
    (lambda c: json_line(c.record() | {"action": "purchase"}), ("purchase_has_order",)),
    (lambda c: repeated_field(c.line(), "page", "/again"), ("duplicate_field",)),
    (lambda c: json_line(c.record() | {"User_Agent": "x"}), ("field_case",)),
    (lambda c: replace(c, time=c.time - timedelta(days=LATENESS + 1)).line(), ("late",)),
    (lambda c: replace(c, time=c.time + timedelta(days=2)).line(), ("future",)),
    (lambda c: json_line(c.record() | {"action": "hover", "page": ""}), ("action_in_set", "page_length")),
)


class Web:
    """Writes the clicks of a day."""

    def __init__(self, world: World, landing: Landing, truth: Truth) -> None:
        self._world, self._landing = world, landing
        self._truth, self._gold = truth.table("web_click"), truth.gold.web
        self._tomorrow: list[Click] = []  # clicks that the next day's first file brings once more
        self._number = 0

    def day(self, day: date) -> None:
        """Write the files of a day. Must be called for the days in order."""
        dice, self._number = self._world.random("web", day), 0
        again, self._tomorrow = self._tomorrow, []
        extras = self._extras(day, dice)
        sessions = self._sessions(day, dice)
        for hour in range(24):
            lines = self._hour(day, hour, sessions, dice)
            everything = self._with(lines, extras.get(hour, []), again if hour == 0 else [], day)
            self._write(f"dt={day}/clicks-{hour:02d}.jsonl{'.gz' if hour % 8 == 3 else ''}", everything)

    def _write(self, path: str, lines: Iterator[bytes]) -> None:
        self._truth.files += 1
        self._landing.lines(f"web/web_click/{path}", lines)

    def _with(self, lines: Iterator[bytes], extras: list[bytes], again: list[Click], day: date) -> Iterator[bytes]:
        for click in again:  # the very same records: the later file wins
            yield click.line()
            self._truth.replace(day - timedelta(days=1), day)
        yield from extras
        yield from lines

    def _sessions(self, day: date, dice: Random) -> dict[int, list[tuple[int, str, int | None]]]:
        """By hour: start (second of the day), visitor, and number of the conversion if it is one."""
        total, conversions = self._world.session_count(day), self._world.conversions(day)
        converting = {n * total // conversions + total // conversions // 2: n for n in range(conversions)}
        hours: dict[int, list[tuple[int, str, int | None]]] = defaultdict(list)
        visitors = 0
        for n in range(total):
            start = int((n + dice.random()) / total * 84_000)  # the last half hour of a day is quiet
            visitor = _visitor(day - timedelta(days=1) if n % 5 == 1 else day, n)
            hours[start // 3600].append((start, visitor, converting.get(n)))
            visitors += 1
            if n % 10 == 3 and start < 70_000:  # comes back three hours later
                hours[start // 3600 + 3].append((start + 3 * 3600, visitor, None))
        self._gold[str(day)]["visitors"] += visitors
        return hours

    def _hour(self, day: date, hour: int, sessions: dict[int, list[tuple[int, str, int | None]]], dice: Random) -> Iterator[bytes]:
        for start, visitor, conversion in sessions.get(hour, []):
            actions = ["view"] * dice.randrange(1, 8)
            if dice.random() < 0.3:
                actions.insert(1, "search")
            if conversion is not None:
                actions += ["add_to_cart", "checkout", "purchase"]
            elif dice.random() < 0.15:
                actions += ["add_to_cart", "checkout"][: dice.randrange(1, 3)]
            yield from self._session(day, (start, visitor, conversion), actions, dice)

    def _session(self, day: date, session: tuple[int, str, int | None], actions: list[str], dice: Random) -> Iterator[bytes]:
        start, visitor, conversion = session
        second, agent = float(start), _BROWSERS[crc32(visitor.encode()) % 4]
        row = self._gold[str(day)]
        row["sessions"] += 1
        for reached, action in (("cart_sessions", "add_to_cart"), ("checkout_sessions", "checkout"), ("converted_sessions", "purchase")):
            row[reached] += action in actions
        for action in actions:
            order = self._world.converted_order(conversion, day) if action == "purchase" and conversion is not None else None
            click = self._click(day, second, visitor, action, dice)
            click = replace(click, agent=agent, order=order)
            yield self._sent(click, day)
            yield from self._perhaps_again(click, day, dice.random())
            second += dice.uniform(4, 110)

    def _click(self, day: date, second: float, visitor: str, action: str, dice: Random) -> Click:
        self._number += 1
        product = f"TOY-{1 + dice.choices(range(len(self._world.popularity)), cum_weights=self._world.popularity)[0]:03d}"
        page, about = {
            "search": ("/search?q=b%C3%A4r", None),
            "checkout": ("/checkout", None),
            "purchase": ("/thanks", None),
            "add_to_cart": ("/cart", product),
        }.get(action, (f"/toys/{product}", product))
        return Click(f"K-{day:%Y%m%d}-{self._number:06d}", visitor, page, action, about, None, None, utc(day, second))

    def _sent(self, click: Click, day: date) -> bytes:
        """A good click of a number not used before."""
        self._truth.accept(day, click.time.date())
        self._gold[str(click.time.date())]["clicks"] += 1
        return click.line()

    def _perhaps_again(self, click: Click, day: date, chance: float) -> Iterator[bytes]:
        if chance < 0.006:
            yield click.line()
            self._truth.lose(day)
        elif chance < 0.010:  # the browser's second try, a moment later
            yield replace(click, time=click.time + timedelta(seconds=1)).line()
            self._truth.replace(day, day)
        elif chance < 0.014:
            self._tomorrow.append(click)

    def _extras(self, day: date, dice: Random) -> dict[int, list[bytes]]:
        """Everything that is no part of an ordinary session of the day, by hour."""
        placed: dict[int, list[bytes]] = defaultdict(list)
        for make, reasons in _FAULTS:
            for _ in range(self._world.count(1)):
                placed[dice.randrange(24)].append(make(self._odd(day, dice)))
                self._truth.refuse(day, *reasons)
        for _ in range(self._world.count(6)):
            bot = replace(self._odd(day, dice), agent="ToyBot/1.0 (+https://toybot.example/bot)")
            placed[dice.randrange(24)].append(bot.line())
            self._truth.drop(day, "not_a_bot")
        for _ in range(self._world.count(4)):
            for lag in (1, -1):  # a browser that was offline; a clock that is ahead
                if self._world.index(day) >= lag:
                    when = utc(day - timedelta(days=lag), dice.randrange(40_000) if lag > 0 else dice.randrange(900))
                    placed[dice.randrange(24)].append(self._lonely(replace(self._odd(day, dice), time=when), day))
        return placed

    def _odd(self, day: date, dice: Random) -> Click:
        """A click of a visitor who is never seen again."""
        click = self._click(day, dice.randrange(80_000), "", "view", dice)
        return replace(click, visitor=f"V{crc32(f'odd {click.id}'.encode()):08x}", agent=_BROWSERS[0])

    def _lonely(self, click: Click, day: date) -> bytes:
        """A good click that is a session by itself."""
        self._gold[str(click.time.date())].update({"sessions": 1, "visitors": 1})
        return self._sent(click, day)


def _visitor(day: date, number: int) -> str:
    """The n-th visitor who was new on a day."""
    return f"V{crc32(f'{day} {number}'.encode()):08x}"
