#!/bin/sh
# Write requirements/*.txt from pyproject.toml and the .in files: every version, every hash, for every platform, and no download host.
# Versions younger than a week are not taken (LOCK_UNTIL=<date or age> says otherwise): the worst releases are withdrawn within days.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
lock() {
    output=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
        --exclude-newer "${LOCK_UNTIL:-1 week}" --custom-compile-command "make lock" --output-file "$output" "$@"
}
lock requirements/bootstrap.txt requirements/bootstrap.in
lock requirements/runtime.txt pyproject.toml --constraint requirements/bootstrap.in --constraint requirements/constraints.in
lock requirements/dev.txt pyproject.toml --extra dev --constraint requirements/runtime.txt
