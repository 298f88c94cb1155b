"""The company: its machines, products and customers, how they change, and what goes wrong on which day.

Everything is a function of (seed, scale, first day) and the day asked for, so that any day can be generated without the others. Not here: files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from random import Random
from zlib import crc32

METRICS = {"temperature": "°C", "vibration": "mm/s", "pressure": "bar"}
LIMITS = {"temperature": (None, 85.0), "vibration": (None, 6.0), "pressure": (120.0, 180.0)}  # of an hour's mean; every machine has the same
SHIFTS = {"early": 4, "late": 12, "night": 20}  # first hour, UTC

_NAMES = (
    ("Plüschbär \"Bruno\", groß", "plush", 890, 2495),
    ("Plüschbär \"Bruno\", klein", "plush", 410, 1295), ("Robo-Saurus Rex", "vehicles", 1620, 4995),
    ("Feuerwehrauto, 3-türig", "vehicles", 1140, 2995), ("Holzeisenbahn „Grüne Elise“", "vehicles", 1480, 3995),
    ("Doppeldecker Übersee", "vehicles", 990, 2795),
    ("Giraffe Gisèle", "plush", 720, 1995), ("Drache Änne, mit Flügeln", "plush", 860, 2295), ("Puzzle Zugspitze, 1000 Teile", "puzzles", 320, 1495),
    ("Puzzle Tiefsee, 500 Teile", "puzzles", 250, 1195), ("Memo: Tiere, Töne, Tücher", "puzzles", 280, 1295), ("Würfelturm", "puzzles", 190, 995),
    ("Sandkasten-Set, 7-teilig", "outdoor", 540, 1695), ("Drachen „Höhenflug“", "outdoor", 470, 1795), ("Stelzen, Buche", "outdoor", 630, 1895),
    ("Hüpfball", "outdoor", 380, 1395), ("Rennwagen Typ 7", "vehicles", 760, 2195), ("Müllwagen, orange", "vehicles", 1090, 2895),
    ("Faultier Jürgen", "plush", 690, 1895), ("Einhorn \"Stella\"", "plush", 740, 2195), ("Knobelkiste", "puzzles", 410, 1595),
    ("Magnetbaukasten, 120 Teile", "puzzles", 1350, 3495), ("Wasserrakete", "outdoor", 450, 1595), ("Seifenblasenkanone", "outdoor", 980, 849),
)  # fmt: skip
_MODELS = ("Spritzguß 3000, Typ B", "NähTech 12", "Fräse F7, 5 Achsen", 'Presse "Herkules"')
_FIRST = ("Anna", "Jürgen", "Zoë", "Mehmet", "Łucja", "Søren", "Chloé", "Björn", "Ines", "Tomás", "Käthe", "Oğuz")
_LAST = ("Müller", "Weiß", "Öztürk", "Nguyen", "García", "Kowalska", "O'Neill", "Groß", "Dubois", "Åberg", "Rossi", "Schäfer")
_CITIES = (
    ("Köln", "DE"), ("München", "DE"), ("Zürich", "CH"), ("Wien", "AT"), ("Malmö", "SE"), ("Kraków", "PL"), ("Orléans", "FR"),
    ("Halle (Saale), Mitte", "DE"), ("Liège", "BE"), ("Århus", "DK"),
)  # fmt: skip
_SEGMENTS = ("family", "family", "family", "collector", "school", "retailer")


@dataclass(frozen=True)
class Product:
    """A product as it is on one day; money in cents."""

    id: str
    name: str
    category: str
    cost: int
    price: int
    updated_at: datetime


@dataclass(frozen=True)
class Machine:
    """A machine as it is on one day."""

    id: str
    line: str
    model: str
    installed_on: date
    last_service_on: date
    updated_at: datetime


@dataclass(frozen=True)
class Customer:
    """A customer as it is on one day."""

    id: str
    name: str
    email: str
    birth_date: date
    city: str
    country: str
    segment: str
    consent: bool
    updated_at: datetime


@dataclass(frozen=True)
class Trouble:
    """A machine that runs badly for some hours of a day: the shift in its metric, and what it costs in production."""

    machine: int
    metric: str
    hours: range
    shift: float
    shift_name: str
    output: float
    scrap: float


_TROUBLES = {
    1: Trouble(4, "temperature", range(12, 16), 38.0, "late", 0.35, 0.30),  # overheats, and its products run out of stock
    2: Trouble(2, "pressure", range(6, 8), -48.0, "early", 0.90, 0.12),  # a leak
    4: Trouble(9, "vibration", range(15, 18), 6.5, "late", 0.85, 0.15),  # a worn bearing
}


@dataclass(frozen=True)
class World:
    """One Mega Awesome Toys: the same for the same seed, scale and first day."""

    seed: int
    scale: float
    first_day: date

    machine_count = 12

    def random(self, what: str, day: date) -> Random:
        """The dice of one thing on one day, independent of all others."""
        return Random(f"{self.seed}|{what}|{day}")

    def index(self, day: date) -> int:
        """How many days after the first."""
        return (day - self.first_day).days

    def count(self, number: float) -> int:
        """A number that grows with the scale, at least 1."""
        return max(1, round(number * self.scale))

    def trouble(self, day: date) -> Trouble | None:
        """What goes wrong in the factory that day: the stories repeat every week."""
        return _TROUBLES.get(self.index(day) % 7)

    def out_of_stock(self, day: date) -> frozenset[str]:
        """Products that can't be shipped in time when ordered that day: those of the machine that overheated the day or two before."""
        return frozenset(made_by(4)) if self.index(day) % 7 in (2, 3) and self.index(day) >= 2 else frozenset()

    def products(self, day: date) -> tuple[Product, ...]:
        """All products as they are on a day; each changes every tenth day."""
        return tuple(self.product(number, day) for number in range(1, len(_NAMES) + 1))

    def product(self, number: int, day: date) -> Product:
        """A product by its number, from 1."""
        name, category, cost, price = _NAMES[number - 1]
        changed = _last_change(number * 7, 10, day)
        wave = crc32(f"{self.seed}|{number}|{changed}".encode()) % 11 - 5
        return Product(f"TOY-{number:03d}", name, category, cost + cost * wave // 200, price + price * wave // 100, _at(changed, 5, number))

    def machine(self, number: int, day: date) -> Machine:
        """A machine by its number, from 1; each is serviced every twelfth day."""
        changed = _last_change(number, 12, day)
        installed = date(2019, 1, 1) + timedelta(days=97 * number)
        return Machine(f"M{number:02d}", "ABC"[(number - 1) // 4], _MODELS[number % 4], installed, changed, _at(changed, 6, number))

    def customer_count(self, day: date) -> int:
        """Customers on a day: some more every day."""
        return self.count(400) + self.count(3) * self.index(day)

    def customer(self, number: int, day: date) -> Customer:
        """A customer by its number, from 1; each changes every thirtieth day."""
        changed = _last_change(number * 11, 30, day)
        fixed, moving = crc32(f"{self.seed}|c|{number}".encode()), crc32(f"{self.seed}|c|{number}|{changed}".encode())
        first, last = _FIRST[fixed % 12], _LAST[fixed // 12 % 12]
        city, country = _CITIES[moving % 10]
        return Customer(
            id=f"C{number:05d}",
            name=f"{last}, {first}",
            email=f"customer.{number}@mail{fixed % 5}.example",
            birth_date=date(1950, 1, 1) + timedelta(days=fixed % 19_000),
            city=city,
            country=country,
            segment=_SEGMENTS[fixed // 144 % 6],
            consent=moving % 3 == 0,
            updated_at=_at(changed, 7, number % 60),
        )

    def order_count(self, day: date) -> int:
        """Orders of a day: more at weekends."""
        return self.count(150 * (1.2 if day.weekday() >= 5 else 1.0))

    def session_count(self, day: date) -> int:
        """Web sessions of a day."""
        return self.count(370 * (1.25 if day.weekday() >= 5 else 1.0))

    def conversions(self, day: date) -> int:
        """Web sessions of a day that end in a purchase; never more than there are web orders."""
        return min(self.session_count(day) // 12, self.web_orders(day))

    def web_orders(self, day: date) -> int:
        """Orders of a day from the web shop: those with an even number."""
        return self.order_count(day) // 2

    def converted_order(self, number: int, day: date) -> str:
        """The order that the day's n-th conversion (from 0) made."""
        return order_id(day, 2 * (1 + number * self.web_orders(day) // self.conversions(day)))

    @cached_property
    def popularity(self) -> tuple[int, ...]:
        """How often each product is asked for, as cumulated weights."""
        weights, total = [], 0
        for number in range(1, len(_NAMES) + 1):
            total += 4 + number * 7 % 9
            weights.append(total)
        return tuple(weights)


def made_by(machine: int) -> tuple[str, str]:
    """The two products that a machine makes."""
    return f"TOY-{2 * machine - 1:03d}", f"TOY-{2 * machine:03d}"


def order_id(day: date, number: int) -> str:
    """The n-th order of a day, from 1."""
    return f"SO-{day:%Y%m%d}-{number:05d}"


def _last_change(offset: int, period: int, day: date) -> date:
    return day - timedelta(days=(day.toordinal() + offset) % period)


def _at(day: date, hour: int, minute: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
