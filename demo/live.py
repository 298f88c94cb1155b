"""The business as it happens: sensors and web shop send to Kafka, as fast as they are told, stamped with the present.

`python -m demo.live contracts` writes the contracts of a lake that reads these topics; `… send` sends until it is stopped, and `… sell` does the same with
orders in PostgreSQL; to which server is libpq's business (PGHOST, PGPORT, PGUSER, PGPASSFILE). Not here: files (`generate`), what orders are (`live_sales`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import yaml
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from demo import live_sales
from demo.factory import Reading
from demo.text import json_line
from demo.web import Click
from demo.world import METRICS

PARTITIONS = 2
TOPICS = {"sensor_reading": "factory.sensor-readings", "web_click": "shop.web-clicks"}
_STREAM = {"server": "stream", "type": "kafka", "host": "services", "format": "json"}
_DATABASE = {"server": "sales", "type": "postgresql", "host": "services", "port": 5432, "database": live_sales.DATABASE, "schema": "public"}
_USUAL = {"temperature": (62.0, 4.0), "vibration": (2.5, 0.5), "pressure": (150.0, 8.0)}
_ACTIONS = ("view", "view", "view", "search", "add_to_cart", "checkout")


def write_contracts(source: Path, target: Path, *, database: bool) -> None:
    """The example's contracts, with those of `TOPICS` reading from Kafka instead of files, and with a `database` the orders from PostgreSQL."""
    live = {table: (_STREAM, {"topic": topic}) for table, topic in TOPICS.items()}
    if database:
        live[live_sales.TABLE] = (_DATABASE, {"mode": "cursor", "cursor": "updated_at", "overlap": 60})
    for file in sorted(source.glob("*/*.odcs.yaml")):
        text = file.read_text("utf-8")
        table = file.name.removesuffix(".odcs.yaml")
        if table in live:
            contract = yaml.safe_load(text)
            contract["servers"] = [live[table][0]]
            for item in contract["customProperties"]:
                if item["property"] == "source":
                    item["value"] = live[table][1]
            text = yaml.safe_dump(contract, allow_unicode=True, sort_keys=False, width=160)
        to = target / file.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, "utf-8")


def create_topics(brokers: str) -> None:
    """The topics, where they are not there yet."""
    admin = AdminClient({"bootstrap.servers": brokers})
    there = admin.list_topics(timeout=30).topics
    missing = [NewTopic(topic, PARTITIONS) for topic in TOPICS.values() if topic not in there]
    for future in admin.create_topics(missing).values() if missing else ():
        future.result()


def reading(number: int, now: datetime, dice: Random) -> tuple[str, dict[str, Any]]:
    """Key and record of a reading taken now."""
    machine, metric = f"M{dice.randrange(1, 13):02}", dice.choice(tuple(METRICS))
    value = round(max(0.0, dice.gauss(*_USUAL[metric])), 2)
    return machine, Reading(f"R-{now:%Y%m%d}-{number:012}", machine, metric, value, now, "2.4.1").record()


def click(number: int, now: datetime, dice: Random) -> tuple[str, dict[str, Any]]:
    """Key and record of a click made now."""
    visitor, product = f"V{dice.randrange(500):08x}", f"TOY-{dice.randrange(1, 13):03}"
    made = Click(f"K-{now:%Y%m%d}-{number:012}", visitor, f"/toys/{product}", dice.choice(_ACTIONS), product, None, "Mozilla/5.0 Firefox/140.0", now)
    return visitor, made.record()


Maker = Callable[[int, datetime, Random], tuple[str, dict[str, Any]]]
_MAKERS: tuple[tuple[str, Maker], ...] = ((TOPICS["sensor_reading"], reading), (TOPICS["sensor_reading"], reading), (TOPICS["web_click"], click))


def send(brokers: str, rate: float, seconds: float | None, say: Callable[[str], object]) -> int:
    """Send `rate` events a second, two readings for each click, for so many seconds (None: until interrupted); returns how many were delivered."""
    producer, dice = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 20, "log_level": 3}), Random()
    began, sent, told = time.monotonic(), 0, 0.0
    try:
        while seconds is None or time.monotonic() - began < seconds:
            passed = time.monotonic() - began
            while sent < passed * rate:
                topic, make = _MAKERS[sent % len(_MAKERS)]
                now = datetime.now(UTC)
                key, record = make(int(now.timestamp() * 1000) % 86_400_000 * 1000 + sent % 1000, now, dice)
                producer.produce(topic, json_line(record), key, timestamp=int(now.timestamp() * 1000))
                sent += 1
            producer.poll(0.02)
            if passed - told >= 10:
                say(f"{sent:,} events sent")
                told = passed
    except KeyboardInterrupt:
        pass
    return sent - producer.flush(30)


def main(arguments: list[str] | None = None) -> int:
    """Read the options and do it. Returns the exit code."""
    options = _options(arguments)
    try:
        if options.command == "contracts":
            write_contracts(options.source, options.target, database=options.database)
        elif options.command == "send":
            create_topics(options.brokers)
            sent = send(options.brokers, options.rate, options.seconds, lambda line: print(line, flush=True))  # noqa: T201
            print(f"{sent:,} events were delivered.")  # noqa: T201
        else:
            live_sales.make()
            print(f"{live_sales.write(options.rate, options.seconds):,} transactions of the sales system.")  # noqa: T201
    except KafkaException as error:
        print(f"Kafka at {options.brokers}: {error.args[0].str()}", file=sys.stderr)  # noqa: T201
        return 1
    except psycopg.Error as error:
        print(f"PostgreSQL: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.live", description="Mega Awesome Toys, live.")
    commands = parser.add_subparsers(dest="command", required=True)
    contracts = commands.add_parser("contracts", help="write the contracts of a lake that reads from servers")
    contracts.add_argument("--source", type=Path, required=True)
    contracts.add_argument("--target", type=Path, required=True)
    contracts.add_argument("--database", action="store_true", help="orders come from PostgreSQL")
    sending = commands.add_parser("send", help="send events to Kafka")
    sending.add_argument("--brokers", required=True)
    selling = commands.add_parser("sell", help="place and change orders in PostgreSQL")
    for command, rate, what in ((sending, 20.0, "events"), (selling, 2.0, "transactions")):
        command.add_argument("--rate", type=float, default=rate, help=f"{what} a second (default %(default)s)")
        command.add_argument("--seconds", type=float, default=None, help="for how long (default: until interrupted)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
