"""`python -m demo`: generate the example business's files. Not here: what `lakehouse demo` builds from them."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from demo.generate import DAYS, SCALE, SEED, OtherBusiness, generate, span


def main(arguments: list[str] | None = None) -> int:
    """Read the options, generate, say what there is. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="Generate the files of Mega Awesome Toys.")
    parser.add_argument("--target", type=Path, required=True, help="landing folder to write to; a folder that holds the business already is extended")
    parser.add_argument("--days", type=int, default=DAYS, help="days to generate (default %(default)s)")
    parser.add_argument("--scale", type=float, default=SCALE, help="factor for readings, orders, clicks and customers (default %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="the dice (default %(default)s)")
    parser.add_argument("--last-day", type=date.fromisoformat, default=None, metavar="YYYY-MM-DD", help="last day (default: today, UTC)")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        when = span(options.target, options.days, options.last_day)
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("generating", total=when.days)
            truth = generate(
                options.target,
                days=when.days,
                scale=options.scale,
                seed=options.seed,
                first_day=when.first_day,
                progress=lambda done, _, day: bar.update(task, completed=done, description=day),
            )
    except (OtherBusiness, ValueError) as error:
        Console(stderr=True).print(str(error), soft_wrap=True)
        return 2
    for name, table in sorted(truth.tables.items()):
        console.print(f"{name:18} {table.files:5} files {table.records:9,} records: {table.accepted:,} good, {table.superseded:,} superseded, "
                      f"{table.quarantined:,} for quarantine, {table.dropped:,} to drop", soft_wrap=True, highlight=False)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
