"""The sales system as it happens: order lines in a PostgreSQL table, placed and changed in transactions, stamped with the present.

Not here: events, the command line (`live`).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from demo.world import order_id

DATABASE, TABLE = "sales", "sales_order_line"
CHANNELS = ("web", "web", "store", "wholesale")
_MADE: LiteralString = """
    CREATE TABLE IF NOT EXISTS sales_order_line (
        order_id text, line_no int, customer_id text NOT NULL, product_id text NOT NULL, channel text NOT NULL, quantity int NOT NULL,
        unit_price numeric(10, 2) NOT NULL, unit_cost numeric(10, 2) NOT NULL, discount numeric(10, 2), ordered_at timestamptz NOT NULL,
        promised_date date NOT NULL, shipped_at timestamptz, status text NOT NULL, updated_at timestamptz NOT NULL, PRIMARY KEY (order_id, line_no));
    CREATE INDEX IF NOT EXISTS sales_order_line_updated_at ON sales_order_line (updated_at)
"""
_PLACED: LiteralString = "INSERT INTO sales_order_line VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, 'placed', clock_timestamp())"
_MOVED: LiteralString = """
    UPDATE sales_order_line SET
        status = CASE WHEN status = 'shipped' THEN 'delivered' WHEN random() < 0.05 THEN 'cancelled' ELSE 'shipped' END,
        shipped_at = coalesce(shipped_at, clock_timestamp()), updated_at = clock_timestamp()
    WHERE (order_id, line_no) = (SELECT order_id, line_no FROM sales_order_line WHERE status IN ('placed', 'shipped') ORDER BY random() LIMIT 1)
"""


def lines(now: datetime, number: int, dice: Random) -> list[tuple[Any, ...]]:
    """The lines of an order that is placed now, as `_PLACED` takes them; money in EUR."""
    order, customer, channel = order_id(now.date(), number), f"C{dice.randrange(1, 200):05}", dice.choice(CHANNELS)
    found = []
    for line in range(1, dice.randrange(2, 5)):
        price = dice.randrange(995, 4995)
        quantity = dice.randrange(1, 5)
        discount = f"{price * quantity // 1000}.00" if dice.random() < 0.2 else None
        row = (order, line, customer, f"TOY-{dice.randrange(1, 25):03}", channel, quantity, f"{price / 100:.2f}", f"{price * 0.4 / 100:.2f}", discount)
        found.append((*row, now, (now + timedelta(days=3)).date()))
    return found


def make(database: str = DATABASE) -> None:
    """The database and the table, where they are not there yet."""
    with psycopg.connect(dbname="postgres", autocommit=True) as server:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    with psycopg.connect(dbname=database) as connection:
        connection.execute(_MADE)


def write(rate: float, seconds: float | None) -> int:
    """`rate` transactions a second, an order or a change of a line each, for so many seconds (None: until interrupted); returns how many there were."""
    dice, began, done = Random(), time.monotonic(), 0
    try:
        with psycopg.connect(dbname=DATABASE) as connection:
            while seconds is None or time.monotonic() - began < seconds:
                now = datetime.now(UTC)
                if dice.random() < 0.5:
                    number = int((now - now.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(milliseconds=1)) + 10_000
                    with connection.cursor() as cursor:
                        cursor.executemany(_PLACED, lines(now, number, dice))
                else:
                    connection.execute(_MOVED)
                connection.commit()
                done += 1
                time.sleep(max(0.001, began + done / rate - time.monotonic()))  # also keeps two orders from having one number
    except KeyboardInterrupt:
        pass
    return done
