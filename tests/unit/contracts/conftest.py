"""A good contract of each kind to start from, and ways to change, write and check it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.contracts.loader import Checked, check_file

EVENT = """\
apiVersion: v3.2.0
kind: DataContract
id: 6f0a1a3c-0a0e-4f57-9a0b-6a6f7f5a2b11
name: reading
version: 1.0.0
status: active
domain: factory
tags: [iot]
description: {purpose: Readings of sensors.}
servers:
  - {server: landing, type: local, path: factory/reading, format: csv}
schema:
  - name: reading
    physicalType: table
    dataGranularityDescription: One row per reading.
    properties:
      - name: reading_id
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        logicalTypeOptions: {pattern: '^R-[0-9]+$', minLength: 3, maxLength: 20}
      - name: metric
        logicalType: string
        enum: [{value: temperature}, {value: vibration}]
      - name: value
        logicalType: number
        physicalType: double
        logicalTypeOptions: {minimum: -273.15, maximum: 1000}
      - name: count
        logicalType: integer
        physicalType: int
      - name: price
        logicalType: number
        physicalType: decimal(10,2)
      - name: event_time
        logicalType: timestamp
        required: true
        logicalTypeOptions: {format: 'yyyy-MM-dd HH:mm:ss', defaultTimezone: Europe/Berlin}
      - name: event_date
        logicalType: date
        required: true
        partitioned: true
        transformLogic: cast(event_time as date)
      - name: operator
        logicalType: string
        customProperties:
          - {property: sourceField, value: Operator Name}
          - {property: masking, value: {policy: sha256}}
          - {property: onFail, value: drop}
    quality:
      - id: plausible
        type: custom
        engine: lakehouse
        implementation: {expr: value < 500 or metric = 'vibration', onFail: warn}
      - {id: rows, metric: rowCount, mustBeGreaterThan: 10}
slaProperties:
  - {property: freshness, value: 2, unit: h, element: reading.event_time}
team:
  name: factory-data
  members:
    - {username: ada@example.com, role: Owner}
customProperties:
  - {property: kind, value: event}
  - {property: source, value: {pattern: '**/*.csv', datePattern: 'dt=(\\d{4}-\\d{2}-\\d{2})', delimiter: ;}}
  - {property: partition, value: {start: 2026-01-01}}
  - {property: lateness, value: {days: 2}}
  - {property: dedupe, value: {orderBy: [event_time]}}
  - {property: schemaEvolution, value: addOnly}
"""

Check = Callable[..., Checked]


@pytest.fixture
def event_text() -> str:
    """The text of a good contract of an event table."""
    return EVENT


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Writes a contract's text to <domain>/<table>.odcs.yaml and checks it."""

    def write_and_check(text: str | bytes, name: str = "factory/reading.odcs.yaml") -> Checked:
        file = tmp_path / "contracts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return check_file(file)

    return write_and_check
