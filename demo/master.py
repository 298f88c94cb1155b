"""Master data: snapshots of the machines as CSV, and the changes of products and customers as JSON lines; a few records wrong, late or twice.

Products come as plain records with an operation, customers as Debezium's envelopes. Not here: what a thing is on a day (`world`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from demo.feed import Change, Feed
from demo.landing import Landing
from demo.text import csv_line, json_line, truncated, utc, zulu
from demo.truth import Truth, decimal
from demo.world import LIMITS, Customer, Machine, Product, World

MACHINE = ("machine_id", "line", "model", "temperature_max", "vibration_max", "pressure_min", "pressure_max", "installed_on", "last_service_on", "updated_at")
Record = dict[str, Any]

# Faults: what they change in a good record, and the reasons that must be found.
Fault = tuple[dict[str, Any], tuple[str, ...]]
_PRODUCT_FAULTS: tuple[Fault, ...] = (
    ({"category": "mystery_box"}, ("category_in_set",)),
    ({"list_price": "n/a"}, ("list_price_type",)),
    ({"name": None}, ("name_required",)),
    ({"changed_at": None}, ("changed_at_required",)),
    ({"sold_from": "2026-13-01"}, ("sold_from_type",)),
    ({"product_id": None}, ("product_id_required",)),
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
    ({"full_name": None}, ("name_required",)),
    ({"marketing_consent": "maybe"}, ("marketing_consent_type",)),
    ({"birth_date": "31.02.1990"}, ("birth_date_type",)),
    ({"birth_date": "1990-02-01"}, ("birth_date_type",)),
    ({"email": "nobody", "country": "de"}, ("email_pattern", "country_pattern")),
)


@dataclass(frozen=True)
class Event:
    """A change to be told: when it was made, what the thing is now (None: gone), and its operation."""

    at: datetime
    key: str
    now: Product | Customer | None
    op: str


class Master:
    """Writes the files of a day. `products` and `customers` know what held when."""

    def __init__(self, world: World, landing: Landing, truth: Truth) -> None:
        self._world, self._landing, self._truth = world, landing, truth
        self._winner: dict[str, date] = {}  # machine → day of the snapshot that holds its latest state
        self.products, self.customers = Feed(truth.table("product")), Feed(truth.table("customer"))
        self._later: dict[date, list[tuple[Event, int]]] = defaultdict(list)  # changes of products that arrive a day after they were made
        self._gone: set[int] = set()  # customers that were deleted
        self._told: list[tuple[Event, int]] = []  # the customers' changes of the day before

    def day(self, day: date) -> None:
        """Write the files of a day. Must be called for the days in order."""
        index = self._world.index(day)
        name = "changes.jsonl.gz" if index % 5 == 4 else "changes.jsonl"
        self._write(f"product/dt={day}/{name}", self._products(day, f"dt={day}/{name}"))
        self._write(f"machine/dt={day}/machines.csv", self._machines(day), crlf=index % 4 == 1)
        if index % 7 == 3:  # a plant that has no machines yet
            self._write(f"machine/dt={day}/machines-new-plant.csv", iter([csv_line(MACHINE)]))
        self._write(f"customer/dt={day}/crm.public.customer.jsonl", self._customers(day, f"dt={day}/crm.public.customer.jsonl"))

    def close(self) -> None:
        """Count what became of the changes; no more will come."""
        self.products.close()
        self.customers.close()

    def _write(self, path: str, lines: Iterator[bytes], *, crlf: bool = False) -> None:
        self._truth.table(path.split("/")[0]).files += 1
        self._landing.lines(f"master/{path}", lines, crlf=crlf)

    def _products(self, day: date, path: str) -> Iterator[bytes]:
        """The changes of a day, newest first on every other day; some come a day late, some twice, some change nothing."""
        index, truth = self._world.index(day), self._truth.table("product")
        numbered = [(e, day.toordinal() * 1000 + n) for n, e in enumerate(self._product_events(day), start=1)]
        late = [n for n in numbered if int(n[0].key[4:]) % 6 == 4 and n[0].op == "u"]
        again = [n for n in numbered if int(n[0].key[4:]) % 8 == 3]
        self._later[day + timedelta(days=1)] += [*late, *again]
        lines = [*(n for n in numbered if n not in late), *self._later.pop(day, [])]
        for event, number in reversed(lines) if index % 2 else lines:
            record = _product(event, number)
            yield json_line(record)
            if isinstance(event.now, Product):
                truth.warned["price_covers_cost"] += event.now.price < event.now.cost
            state = (event.now.cost, event.now.price) if isinstance(event.now, Product) else None
            self.products.arrive(Change(event.key, (event.at, number), state, path, day))
        good = Event(utc(day, 40_000), "TOY-901", self._world.product(1, day), "u")
        for n, (changes, reasons) in enumerate(_of_day(_PRODUCT_FAULTS, index, 1)):
            yield json_line(_product(good, n) | changes)
            truth.refuse(day, *reasons)

    def _product_events(self, day: date) -> Iterator[Event]:
        index, numbers = self._world.index(day), range(1, len(self._world.products(day)) + 1)
        for number in numbers if index == 0 else ():
            product = self._world.product(number, day - timedelta(days=1))
            yield Event(product.updated_at, product.id, product, "c")
        for number in numbers:
            product = self._world.product(number, day)
            if product.updated_at.date() == day:
                yield Event(product.updated_at, product.id, product, "u")
        if index % 2:  # looked at, and left as it was
            reviewed = self._world.product(5, day)
            yield Event(utc(day, 12 * 3600), reviewed.id, reviewed, "u")
        if index % 7 == 4:  # out of the catalogue for a day's work
            recalled = self._world.product(23, day)
            yield Event(utc(day, 8 * 3600), recalled.id, None, "d")
            yield Event(utc(day, 20 * 3600), recalled.id, recalled, "c")

    def _machines(self, day: date) -> Iterator[bytes]:
        index, truth = self._world.index(day), self._truth.table("machine")
        yield csv_line(MACHINE)
        for number in range(1, self._world.machine_count + 1):
            machine = self._world.machine(number, day)
            yield _row(_machine(machine))
            if machine.id in self._winner:
                truth.replace(self._winner[machine.id], day)
            else:
                truth.accept(day)
            self._winner[machine.id] = day
        for changes, reasons in _of_day(_MACHINE_FAULTS, index, 1):
            yield _row(_machine(self._world.machine(1, day)) | {"machine_id": "M90"} | changes)
            truth.refuse(day, *reasons)

    def _customers(self, day: date, path: str) -> Iterator[bytes]:
        """The messages of a day; the first ones of the day before are delivered again every third day."""
        index, truth = self._world.index(day), self._truth.table("customer")
        told = [(e, day.toordinal() * 100_000 + n) for n, e in enumerate(self._customer_events(day), start=1)]
        for event, lsn in [*(self._told[:4] if index % 3 == 2 else []), *told]:
            customer = event.now if isinstance(event.now, Customer) else None
            yield json_line(_envelope(event, lsn))
            truth.warned["segment_in_set"] += customer is not None and customer.segment == "influencer"
            state = (customer.email, customer.city, customer.country, customer.segment, customer.consent) if customer else None
            self.customers.arrive(Change(event.key, (event.at, lsn), state, path, day))
        self._told = told
        example = Event(utc(day, 40_000), "C99999", self._customer(1, day), "u")
        for n, (changes, reasons) in enumerate(_of_day(_CUSTOMER_FAULTS, index, 1)):
            envelope = _envelope(example, n)
            yield json_line(envelope | {"after": envelope["after"] | {"customer_id": "C99999"} | changes})
            truth.refuse(day, *reasons)
        if index % 2:
            yield json_line(_envelope(example, 0) | {"op": "t", "after": None})
            truth.refuse(day, "unknown_operation")
        else:
            yield truncated(json_line(_envelope(example, 0)))
            truth.refuse(day, "malformed")

    def _customer_events(self, day: date) -> Iterator[Event]:
        index, before = self._world.index(day), day - timedelta(days=1)
        known = self._world.customer_count(before if index else day)
        for number in range(1, known + 1) if index == 0 else ():  # what the connector reads when it starts
            customer = self._customer(number, before)
            yield Event(customer.updated_at, customer.id, customer, "r")
        for number in range(known + 1, self._world.customer_count(day) + 1):
            customer = self._customer(number, day)
            yield Event(utc(day, 3600 + 60 * (number % 60)), customer.id, customer, "c")
        if index % 7 == 4 and self._gone:  # changed before it was deleted, and told after
            customer = replace(self._customer(min(self._gone), before), city="Bonn", country="DE")
            yield Event(utc(before, 9 * 3600 - 1), customer.id, customer, "u")
        for number in (n for n in range(1, known + 1) if n not in self._gone):
            customer = self._customer(number, day)
            if customer.updated_at.date() == day:
                yield Event(customer.updated_at, customer.id, customer, "u")
        if index % 7 == 3:  # somebody wants to be forgotten
            number = max(2, self._world.count(400) - index // 7)
            self._gone.add(number)
            yield Event(utc(day, 9 * 3600), self._customer(number, day).id, None, "d")

    def _customer(self, number: int, day: date) -> Customer:
        customer = self._world.customer(number, day)
        # a kind of customer that nobody told the data team about
        return replace(customer, segment="influencer") if number % 97 == 2 else customer


def _of_day(faults: Sequence[Fault], index: int, count: int) -> Iterator[Fault]:
    """The faults of a day: all of them in turn."""
    return (faults[(index * count + n) % len(faults)] for n in range(count))


def _row(row: dict[str, str]) -> bytes:
    return csv_line(row[c] for c in MACHINE)


def _product(event: Event, number: int) -> Record:
    record: Record = {"op": event.op, "changed_at": zulu(event.at), "change_no": number, "product_id": event.key}
    p = event.now
    if not isinstance(p, Product):
        return record
    return record | {"name": p.name, "category": p.category, "unit_cost": decimal(p.cost), "list_price": decimal(p.price), "sold_from": "2024-01-01"}


def _machine(m: Machine) -> dict[str, str]:
    limits = (LIMITS["temperature"][1], LIMITS["vibration"][1], *LIMITS["pressure"])
    return dict(zip(MACHINE, (m.id, m.line, m.model, *map(str, limits), str(m.installed_on), str(m.last_service_on), zulu(m.updated_at)), strict=True))


def _envelope(event: Event, lsn: int) -> Record:
    """A change as Debezium tells it; of a deleted row PostgreSQL logs only the key."""
    millis = int(event.at.timestamp()) * 1000
    source = {"connector": "postgresql", "name": "crm", "ts_ms": millis, "db": "crm", "schema": "public", "table": "customer", "lsn": lsn}
    after = _customer(event.now) if isinstance(event.now, Customer) else None
    before = None if after else dict.fromkeys(_CUSTOMER) | {"customer_id": event.key}
    return {"before": before, "after": after, "source": source, "op": event.op, "ts_ms": millis + 250}


_CUSTOMER = ("customer_id", "full_name", "email", "birth_date", "city", "country", "segment", "marketing_consent")


def _customer(c: Customer) -> Record:
    return dict(zip(_CUSTOMER, (c.id, c.name, c.email, f"{c.birth_date:%d.%m.%Y}", c.city, c.country, c.segment, c.consent), strict=True))
