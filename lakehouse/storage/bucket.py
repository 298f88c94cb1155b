"""`python -m lakehouse.storage.bucket`: make the buckets of the warehouse and the landing zone where they are missing. For a server of one's own."""

from __future__ import annotations

import sys

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from lakehouse.storage import explained, filesystem
from lakehouse.storage.s3 import bucket_of, is_s3


def main() -> int:
    """Make what is missing; errors as one message and exit code 1."""
    try:
        for url in sorted({settings().warehouse, settings().landing}):
            if is_s3(url):
                system, _ = filesystem(url)
                with explained(url):
                    system.makedirs(bucket_of(url), exist_ok=True)
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
