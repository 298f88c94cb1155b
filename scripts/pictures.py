"""Take the pictures of docs/pictures from a running `lakehouse up`: python scripts/pictures.py http://127.0.0.1:3000 [--backfill ID] [--only NAME].

Needs what the project itself does not: `pip install playwright`, and Debian's chromium (or `--browser`). Look at every picture before it is committed.
"""

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

TARGET = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SILVER = "/assets/silver/sensor_reading"
# Name: page, words to wait for, width and height.
PAGES = {
    "lineage": ("/assets/gold/fct_machine_health_hourly?view=lineage&lineageScope=upstream&lineageDepth=3", "stg_sensor_reading", (1800, 700)),
    "asset": (f"{SILVER}?view=overview", "reading_id", (1500, 1150)),
    "partitions": (f"{SILVER}?view=partitions", "Materialized", (1500, 700)),
    "checks": (f"{SILVER}?view=checks&checkDetail=conservation", "blocking", (1500, 800)),
    "automation": ("/automation", "new_files", (1500, 700)),
    "backfill": ("/runs/b/{backfill}", "Asset name", (1500, 700)),
}
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--backfill", help="the id of a backfill that is going: lakehouse backfill --list")
    parser.add_argument("--only", choices=sorted(PAGES), help="this picture alone")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=options.browser, args=OPTIONS)
        for name, (page, words, (width, height)) in PAGES.items():
            if (options.only and name != options.only) or ("{backfill}" in page and not options.backfill):
                continue
            tab = browser.new_page(viewport={"width": width, "height": height}, timezone_id="UTC", reduced_motion="reduce")
            tab.goto(options.url + page.format(backfill=options.backfill))
            tab.get_by_text(words).first.wait_for(timeout=120_000)
            tab.wait_for_timeout(4_000)  # what is drawn after the words: no sign says that it is done
            tab.screenshot(path=TARGET / f"{name}.png")
            tab.close()
            print(f"{name}: {(TARGET / f'{name}.png').stat().st_size // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main()
