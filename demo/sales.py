"""Order lines as CSV, exported four times a day: every line when it is ordered, and again whenever it changes.

Times are Berlin local time without a zone. Not here: how many orders there are, and which products are out of stock (`world`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from demo.landing import Landing
from demo.master import Master
from demo.text import csv_line, truncated
from demo.truth import Truth, decimal
from demo.world import World, order_id

BERLIN = ZoneInfo("Europe/Berlin")
LATENESS = 14
COLUMNS = (
    "order_id", "line_no", "customer_id", "product_id", "channel", "quantity", "unit_price", "unit_cost", "discount",
    "ordered_at", "promised_date", "shipped_at", "status", "updated_at",
)  # fmt: skip
REORDERED = ("status", "note", "updated_at", "unit_cost", *[c for c in COLUMNS if c not in ("status", "updated_at", "unit_cost")])
Row = dict[str, str]


@dataclass(slots=True)
class Line:
    """An order line, and which of its versions has won so far. Money in cents, times in Berlin without a zone."""

    order: str
    number: int
    customer: str
    product: str
    channel: str
    quantity: int
    price: int
    cost: int
    discount: int
    ordered: datetime
    promised: date
    status: str = "placed"
    shipped: datetime | None = None
    updated: datetime = datetime.min  # noqa: DTZ901 - local by definition
    won: datetime | None = None  # updated_at (UTC) of the version that has won so far
    came: date = date.min

    def row(self) -> Row:
        """Its record as of now."""
        values = (
            self.order, self.number, self.customer, self.product, self.channel, self.quantity, decimal(self.price), decimal(self.cost),
            decimal(self.discount) if self.discount else "", self.ordered, self.promised, self.shipped or "", self.status, self.updated,
        )  # fmt: skip
        return {name: str(value) for name, value in zip(COLUMNS, values, strict=True)}


@dataclass
class Order:
    """An order: its day (UTC) and its lines."""

    day: date
    lines: list[Line] = field(default_factory=list)

    def late_and_shipped(self) -> tuple[int, int, int]:
        """1 or 0 each: it counts at all, all of it is shipped, some of it was shipped late. Cancelled lines count for nothing."""
        lines = [line for line in self.lines if line.status != "cancelled"]
        shipped = [line for line in lines if line.shipped]
        late = any(_utc(line.shipped).date() > line.promised for line in shipped if line.shipped)
        return int(bool(lines)), int(bool(lines) and len(shipped) == len(lines)), int(late)


# Faults: what they change in a good row, and the reasons that must be found.
_FAULTS: tuple[tuple[Row, tuple[str, ...]], ...] = (
    ({"status": "backordered"}, ("status_in_set",)),
    ({"quantity": "two"}, ("quantity_type",)),
    ({"quantity": "0"}, ("quantity_in_range",)),
    ({"quantity": "2.5"}, ("quantity_type",)),
    ({"unit_price": "12,50"}, ("unit_price_type",)),
    ({"unit_price": "123456789012.00"}, ("unit_price_type",)),
    ({"unit_cost": "9.999"}, ("unit_cost_type",)),
    ({"discount": "99999.00"}, ("discount_not_above_price",)),
    ({"customer_id": ""}, ("customer_id_required",)),
    ({"order_id": "XX17"}, ("order_id_pattern",)),
    ({"promised_date": "soon"}, ("promised_date_type",)),
    ({"updated_at": "31.12.2025 10:00"}, ("updated_at_type",)),
    ({"quantity": "-1", "status": "?"}, ("quantity_in_range", "status_in_set")),
)
_FILES = {0: "orders-1.csv", 1: "orders-2.csv", 2: "orders-3.csv", 3: "orders-4.csv.gz"}


class Sales:
    """Writes the exports of a day."""

    def __init__(self, world: World, landing: Landing, truth: Truth, master: Master) -> None:
        self._world, self._landing, self._master = world, landing, master
        self._truth, self._gold = truth.table("sales_order_line"), truth.gold
        # day and export → what happens then: an order line takes a new status, or (status empty) an old record is exported once more
        self._open: dict[date, list[Order]] = defaultdict(list)  # orders that can still change, by their day in Berlin
        self._agenda: dict[tuple[date, int], list[tuple[Order, Line, str, Row]]] = defaultdict(list)

    def day(self, day: date) -> None:
        """Write the files of a day. Must be called for the days in order."""
        dice, index = self._world.random("sales", day), self._world.index(day)
        self.close(before=day - timedelta(days=7))
        for export in _FILES:
            columns = REORDERED if export == 2 else COLUMNS
            lines = self._export(day, export, columns, dice)
            self._write(f"dt={day}/{_FILES[export]}", lines, crlf=export == 1, bom=export == 0)
        if index % 3 == 0:
            self._write(f"dt={day}/orders-5.csv", iter(()))
        if index % 3 == 1:
            self._write(f"dt={day}/orders-5.csv", iter([csv_line(COLUMNS)]))

    def _write(self, path: str, lines: Iterator[bytes], *, crlf: bool = False, bom: bool = False) -> None:
        self._truth.files += 1
        self._landing.lines(f"sales/sales_order_line/{path}", lines, crlf=crlf, bom=bom)

    def _export(self, day: date, export: int, columns: Sequence[str], dice: Random) -> Iterator[bytes]:
        """Six hours of changes."""
        yield csv_line(columns)
        for order, line, status, old in self._agenda.pop((day, export), []):
            if status:
                self._change(line, status, day, export, dice)
            row = old or line.row()
            yield _csv(columns, row)
            self._offer(order, line, row, day)
        orders = self._world.order_count(day)
        for number in range(1, orders + 1):
            if (number - 1) * 4 // orders == export:
                yield from self._place(day, number, columns, dice)
        yield from self._odd(day, export, columns, dice)

    def _place(self, day: date, number: int, columns: Sequence[str], dice: Random) -> Iterator[bytes]:
        order = self._order(day, number, dice)
        self._open[day].append(order)
        for line in order.lines:
            row = line.row()
            yield _csv(columns, row)
            self._offer(order, line, row, day)
            chance = dice.random()
            if chance < 0.01:
                yield _csv(columns, row)
                self._truth.lose(day)
            elif chance < 0.03:  # exported once more: beaten by what changed since, or the same and in a later file
                self._agenda[day + timedelta(days=dice.randrange(1, 5)), 3].append((order, line, "", row))
            self._plan(order, line, day, dice)

    def _order(self, day: date, number: int, dice: Random) -> Order:
        total = self._world.order_count(day)
        first = 7_200 if day == self._world.first_day else 0  # no order of the UTC day before the first
        second = first + int((number - 1 + dice.random()) / total * (86_399 - first))
        ordered = datetime.combine(day, time()) + timedelta(seconds=second)
        channel = "web" if number % 2 == 0 else "store" if dice.random() < 0.7 else "wholesale"
        order = Order(_utc(ordered).date())
        customer = f"C{dice.randrange(1, self._world.count(400) + 1):05d}"
        wholesale, lines = channel == "wholesale", dice.choice((1, 1, 2, 2, 3, 4, 5))
        for line_no, index in enumerate(dice.choices(range(len(self._world.popularity)), cum_weights=self._world.popularity, k=lines), start=1):
            product = self._world.product(index + 1, day)
            quantity, price = dice.randrange(10, 41) if wholesale else dice.randrange(1, 4), product.price * (7 if wholesale else 10) // 10
            discount = quantity * price // 20 if dice.random() < 0.15 else 0
            order.lines.append(
                Line(
                    order=order_id(day, number), number=line_no, customer=customer, product=product.id, channel=channel, quantity=quantity, price=price,
                    cost=product.cost, discount=discount, ordered=ordered, promised=day + timedelta(days=2), updated=ordered,
                )
            )  # fmt: skip
        return order

    def _plan(self, order: Order, line: Line, day: date, dice: Random) -> None:
        """Enter the line's future into the agenda."""
        export, chance = dice.randrange(4), dice.random()
        if chance < 0.04:
            self._agenda[day + timedelta(days=1), export].append((order, line, "cancelled", {}))
            return
        late = line.product in self._world.out_of_stock(day) or chance > 0.985
        shipped = day + timedelta(days=dice.choice((3, 4)) if late else 1)
        self._agenda[shipped, export].append((order, line, "shipped", {}))
        self._agenda[shipped + timedelta(days=2), export].append((order, line, "delivered", {}))

    def _change(self, line: Line, status: str, day: date, export: int, dice: Random) -> None:
        line.status = status
        line.updated = datetime.combine(day, time(6 * export)) + timedelta(seconds=dice.randrange(6 * 3600))
        if status == "shipped":
            line.shipped = line.updated

    def _offer(self, order: Order, line: Line, row: Row, day: date) -> None:
        """Let a version compete with those before it: the later updated_at wins, then the later file."""
        updated = _utc(datetime.fromisoformat(row["updated_at"]))
        if line.won is not None and updated < line.won:
            self._truth.lose(day)
            return
        if line.won is None:
            self._truth.accept(day, order.day)
        else:
            self._truth.replace(line.came, day)
        line.won, line.came = updated, day

    def _odd(self, day: date, export: int, columns: Sequence[str], dice: Random) -> Iterator[bytes]:
        """Records that are no part of an ordinary order of the day: faults, and single lines with something odd about their dates."""
        number, noon = 9_000_000, datetime.combine(day, time(12))
        for n, (changes, reasons) in enumerate(_FAULTS):
            for _ in range(self._world.count(1) if n % 4 == export else 0):
                number += 1
                yield _csv(columns, self._single(day, number, noon, dice).lines[0].row() | {"order_id": order_id(day, number)} | changes)
                self._truth.refuse(day, *reasons)
        if export == 0:
            yield truncated(_csv(columns, self._single(day, number, noon, dice).lines[0].row()))
            yield _csv(columns, self._single(day, number, noon, dice).lines[0].row()) + b",17"
            self._truth.refuse(day, "malformed")
            self._truth.refuse(day, "malformed")
        if export == 1:
            for days, reason in ((-LATENESS - 1, "late"), (-40, "late"), (3, "future")):
                number += 1
                yield _csv(columns, self._single(day, 9_100_000 - days, noon + timedelta(days=days), dice).lines[0].row())
                self._truth.refuse(day, reason)
        if export == 3:
            yield from self._odd_but_good(day, columns, dice)

    def _odd_but_good(self, day: date, columns: Sequence[str], dice: Random) -> Iterator[bytes]:
        noon = datetime.combine(day, time(12))
        promised_yesterday = self._single(day, 9_200_000, noon, dice)
        promised_yesterday.lines[0].promised = day - timedelta(days=1)
        self._truth.warned["promised_not_before_order"] += 1
        orders = [promised_yesterday]
        if self._world.index(day) >= 5:  # a shop whose line was down
            orders.append(self._single(day, 9_200_001, noon - timedelta(days=5), dice))
        for order in orders:
            row = order.lines[0].row()
            yield _csv(columns, row)
            self._offer(order, order.lines[0], row, day)
            self._open[day].append(order)

    def _single(self, day: date, number: int, ordered: datetime, dice: Random) -> Order:
        """An order with one line that is never shipped."""
        product = self._world.product(dice.randrange(1, 25), day)
        line = Line(order_id(day, number), 1, "C00001", product.id, "store", 1, product.price, product.cost, 0, ordered, ordered.date() + timedelta(days=2))
        line.updated = ordered
        return Order(_utc(ordered).date(), [line])

    def close(self, before: date = date.max) -> None:
        """Count the orders of the days before into Gold's figures; nothing changes in them any more."""
        for day in [d for d in self._open if d < before]:
            for order in self._open.pop(day):
                self._count(order)

    def _count(self, order: Order) -> None:
        counts, shipped, late = order.late_and_shipped()
        self._gold.late_orders[str(order.day)].update({"orders": counts, "shipped_orders": shipped, "late_orders": late})
        for product in {line.product for line in order.lines if line.status != "cancelled"}:
            self._gold.sales[f"{order.day}|{product}"]["orders"] += 1
        for line in order.lines:
            if line.status != "cancelled":
                gross, cost = line.quantity * line.price, line.quantity * line.cost
                figures = {"order_lines": 1, "units_sold": line.quantity, "gross_revenue": gross, "discount": line.discount, "cost": cost}
                at_list, bought_by = self._as_ordered(line)
                figures |= {"revenue": gross - line.discount, "list_revenue": line.quantity * (at_list or 0), "unlisted_lines": at_list is None}
                self._gold.sales[f"{order.day}|{line.product}"].update(figures)
                self._gold.segments[f"{order.day}|{bought_by}"].update(figures)
        for group in {self._as_ordered(line)[1] for line in order.lines if line.status != "cancelled"}:
            self._gold.segments[f"{order.day}|{group}"]["orders"] += 1

    def _as_ordered(self, line: Line) -> tuple[int | None, str]:
        """The product's list price (None: it was not on offer), and the customer's country and segment, as they were when the line was ordered."""
        moment = _utc(line.ordered)
        product, customer = self._master.products.at(line.product, moment), self._master.customers.at(line.customer, moment)
        price = product[1] if product else None
        return price if isinstance(price, int) else None, f"{customer[2]}|{customer[3]}" if customer else "unknown|unknown"


def _csv(columns: Sequence[str], row: Row) -> bytes:
    note = {"note": f'Lieferung an "Tür 3", {row["customer_id"]}, bitte läuten'}
    return csv_line((note | row)[c] for c in columns)


def _utc(local: datetime) -> datetime:
    """The instant of a Berlin time; of two, the first; of none, as if the clock had not been put forward."""
    return local.replace(tzinfo=BERLIN, fold=0).astimezone(ZoneInfo("UTC"))
