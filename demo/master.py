"""Daily snapshots of products, machines and customers as CSV: every row every day, a few of them wrong, stale or twice.

Not here: what the rows are on a day (`world`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

from demo.landing import Landing
from demo.text import csv_line, truncated, zulu
from demo.truth import Truth, decimal
from demo.world import LIMITS, Customer, Machine, Product, World

PRODUCT = ("product_id", "name", "category", "unit_cost", "list_price", "valid_from", "valid_to", "updated_at")
MACHINE = ("machine_id", "line", "model", "temperature_max", "vibration_max", "pressure_min", "pressure_max", "installed_on", "last_service_on", "updated_at")
CUSTOMER = ("customer_id", "full_name", "email", "birth_date", "city", "country", "segment", "marketing_consent", "updated_at")

# Faults: what they change in a good row, and the reasons that must be found.
Fault = tuple[dict[str, str], tuple[str, ...]]
_PRODUCT_FAULTS: tuple[Fault, ...] = (
    ({"category": "mystery_box"}, ("category_in_set",)),
    ({"list_price": "n/a"}, ("list_price_type",)),
    ({"name": ""}, ("name_required",)),
    ({"valid_from": "2026-13-01"}, ("valid_from_type",)),
    ({"unit_cost": "-1.00"}, ("unit_cost_in_range",)),
)
_MACHINE_FAULTS: tuple[Fault, ...] = (
    ({"temperature_max": "-5"}, ("temperature_max_in_range",)),
    ({"vibration_max": "NaN"}, ("vibration_max_not_nan",)),
    ({"installed_on": "yesterday"}, ("installed_on_type",)),
    ({"line": "A1"}, ("line_pattern",)),
)
_CUSTOMER_FAULTS: tuple[Fault, ...] = (
    ({"email": "nobody at example"}, ("email_pattern",)),
    ({"country": "Germany"}, ("country_pattern",)),
    ({"full_name": ""}, ("name_required",)),
    ({"marketing_consent": "maybe"}, ("marketing_consent_type",)),
    ({"birth_date": "31.02.1990"}, ("birth_date_type",)),
    ({"birth_date": "1990-02-01"}, ("birth_date_type",)),
    ({"email": "nobody", "country": "de"}, ("email_pattern", "country_pattern")),
)


class Master:
    """Writes the three snapshots of a day."""

    def __init__(self, world: World, landing: Landing, truth: Truth) -> None:
        self._world, self._landing, self._truth = world, landing, truth
        self._winner: dict[str, dict[str, date]] = defaultdict(dict)  # table → key → day of the snapshot that holds its latest state

    def day(self, day: date) -> None:
        """Write the snapshots of a day. Must be called for the days in order."""
        index = self._world.index(day)
        products = PRODUCT[::-1] if index % 3 == 1 else PRODUCT
        name = "products.csv.gz" if index % 5 == 4 else "products.csv"
        self._write(f"product/dt={day}/{name}", self._products(day, products), crlf=index % 3 == 2, bom=index % 4 == 2)
        self._write(f"machine/dt={day}/machines.csv", self._machines(day), crlf=index % 4 == 1)
        if index % 7 == 3:  # a plant that has no machines yet
            self._write(f"machine/dt={day}/machines-new-plant.csv", iter([csv_line(MACHINE)]))
        self._write(f"customer/dt={day}/customers.csv", self._customers(day), bom=index % 2 == 1)

    def _write(self, path: str, lines: Iterator[bytes], *, crlf: bool = False, bom: bool = False) -> None:
        self._truth.table(path.split("/")[0]).files += 1
        self._landing.lines(f"master/{path}", lines, crlf=crlf, bom=bom)

    def _products(self, day: date, columns: Sequence[str]) -> Iterator[bytes]:
        index, truth = self._world.index(day), self._truth.table("product")
        yield csv_line(columns)
        for number, product in enumerate(self._world.products(day), start=1):
            stale = index % 4 == 2 and number == 5
            if stale:  # an export from a copy that is behind; older than what the days before brought
                product = self._world.product(number, day - timedelta(days=11))
            row = _product(product)
            yield _row(columns, row)
            truth.warned["price_covers_cost"] += product.price < product.cost
            self._good("product", product.id, day, wins=not stale)
            if number == 3:
                yield _row(columns, row)
                truth.lose(day)
        for changes, reasons in _of_day(_PRODUCT_FAULTS, index, 2):
            yield _row(columns, _product(self._world.product(1, day)) | {"product_id": "TOY-901"} | changes)
            truth.refuse(day, *reasons)

    def _machines(self, day: date) -> Iterator[bytes]:
        index, truth = self._world.index(day), self._truth.table("machine")
        yield csv_line(MACHINE)
        for number in range(1, self._world.machine_count + 1):
            machine = self._world.machine(number, day)
            yield _row(MACHINE, _machine(machine))
            self._good("machine", machine.id, day)
        for changes, reasons in _of_day(_MACHINE_FAULTS, index, 1):
            yield _row(MACHINE, _machine(self._world.machine(1, day)) | {"machine_id": "M90"} | changes)
            truth.refuse(day, *reasons)

    def _customers(self, day: date) -> Iterator[bytes]:
        index, truth = self._world.index(day), self._truth.table("customer")
        yield csv_line(CUSTOMER, ";")
        for number in range(1, self._world.customer_count(day) + 1):
            customer = self._world.customer(number, day)
            if number % 97 == 2:  # a kind of customer that nobody told the data team about
                customer = replace(customer, segment="influencer")
                truth.warned["segment_in_set"] += 1
            yield _row(CUSTOMER, _customer(customer), ";")
            self._good("customer", customer.id, day)
        example = _customer(self._world.customer(1, day)) | {"customer_id": "C99999"}
        for changes, reasons in _of_day(_CUSTOMER_FAULTS, index, 3):
            yield _row(CUSTOMER, example | changes, ";")
            truth.refuse(day, *reasons)
        yield truncated(_row(CUSTOMER, example, ";"))
        truth.refuse(day, "malformed")

    def _good(self, table: str, key: str, day: date, *, wins: bool = True) -> None:
        truth, winner = self._truth.table(table), self._winner[table]
        if not wins:
            truth.lose(day)
            return
        if key in winner:
            truth.replace(winner[key], day)
        else:
            truth.accept(day)
        winner[key] = day


def _of_day(faults: Sequence[Fault], index: int, count: int) -> Iterator[Fault]:
    """The faults of a day: all of them in turn."""
    return (faults[(index * count + n) % len(faults)] for n in range(count))


def _row(columns: Sequence[str], row: dict[str, str], delimiter: str = ",") -> bytes:
    return csv_line((row[c] for c in columns), delimiter)


def _product(p: Product) -> dict[str, str]:
    return dict(zip(PRODUCT, (p.id, p.name, p.category, decimal(p.cost), decimal(p.price), "2024-01-01", "", zulu(p.updated_at)), strict=True))


def _machine(m: Machine) -> dict[str, str]:
    limits = (LIMITS["temperature"][1], LIMITS["vibration"][1], *LIMITS["pressure"])
    return dict(zip(MACHINE, (m.id, m.line, m.model, *map(str, limits), str(m.installed_on), str(m.last_service_on), zulu(m.updated_at)), strict=True))


def _customer(c: Customer) -> dict[str, str]:
    values = (c.id, c.name, c.email, f"{c.birth_date:%d.%m.%Y}", c.city, c.country, c.segment, str(c.consent).lower(), zulu(c.updated_at))
    return dict(zip(CUSTOMER, values, strict=True))
