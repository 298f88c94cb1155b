"""Each mistake in a contract is found, on its line, and says what was allowed."""

# ruff: noqa: E501 (a table: one case per line)

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse.contracts.loader import Checked

Check = Callable[..., Checked]

START = "  - {property: partition, value: {start: 2026-01-01}}\n"
RULE = "implementation: {expr: value < 500 or metric = 'vibration', onFail: warn}"


def rule(expr: str) -> str:
    return f"implementation: {{expr: {expr!r}, onFail: warn}}"


# what · the text that is replaced · what replaces it · a text on the line that is blamed · what the message says
CASES = [
    ("a misspelt key at the top", "status: active", "statsu: active", "statsu", ["unknown key 'statsu'", "Did you mean 'status'", "Allowed:", "domain"]),
    ("a misspelt key of a column", "partitioned: true", "partitionned: true", "partitionned", ["unknown key 'partitionned'", "Did you mean 'partitioned'"]),
    ("a misspelt key of the server", "path: factory/reading,", "paht: factory/reading,", "paht", ["unknown key 'paht'", "Did you mean 'path'", "format"]),
    ("a misspelt option", "minimum: -273.15", "minimun: -273.15", "minimun", ["unknown key 'minimun'", "Did you mean 'minimum'"]),
    ("a misspelt key of a quality item", "mustBeGreaterThan", "mustBeGreatherThan", "Greather", ["unknown key 'mustBeGreatherThan'", "Did you mean 'mustBeGreaterThan'"]),
    ("an unknown property of the contract", "property: lateness", "property: latenes", "latenes", ["unknown property 'latenes'", "Did you mean 'lateness'", "schemaEvolution"]),
    ("an unknown property of a column", "property: onFail", "property: onFial", "onFial", ["unknown property 'onFial'", "Did you mean 'onFail'", "masking"]),
    ("a contract's property on a column", "property: onFail, value: drop", "property: kind, value: event", "value: event", ["belongs in the customProperties of the contract"]),
    ("a property that stands twice", START, START + START.replace("01-01", "02-01"), "2026-02-01", ["partition stands twice"]),
    ("an unknown kind", "property: kind, value: event", "property: kind, value: events", "events", ["unknown value 'events'", "Did you mean 'event'", "entity"]),
    ("an unknown key of source", "delimiter: ;", "delimeter: ;", "delimeter", ["unknown key 'delimeter'", "Did you mean 'delimiter'", "multiLine"]),
    ("a delimiter of two characters", "delimiter: ;", "delimiter: '||'", "'||'", ["at most 1 character"]),
    ("a number that is text", "lateness, value: {days: 2}", "lateness, value: {days: two}", "days: two", ["valid integer", "'two'"]),
    ("a negative number of days", "lateness, value: {days: 2}", "lateness, value: {days: -1}", "days: -1", ["greater than or equal to 0"]),
    ("no kind", "  - {property: kind, value: event}\n", "", "customProperties:\n  - {property: source", ["needs the property 'kind'"]),
    ("no start", START, "", "customProperties:\n  - {property: kind", ["needs the property 'partition'"]),
    ("a start that is no date", "start: 2026-01-01", "start: 2026-13-01", "2026-13-01", ["must be a date such as"]),
    ("an unknown masking policy", "policy: sha256", "policy: sha512", "sha512", ["unknown value 'sha512'", "Did you mean 'sha256'", "redact", "null"]),
    ("an unknown onFail of a column", "onFail, value: drop", "onFail, value: delete", "delete", ["unknown value 'delete'", "quarantine, drop, warn, fail"]),
    ("an unknown onFail of a rule", "onFail: warn", "onFail: warning", "warning", ["unknown value 'warning'", "Did you mean 'warn'"]),
    ("an unknown key of a rule", "onFail: warn", "onfail: warn", "onfail", ["unknown key 'onfail'", "Did you mean 'onFail'"]),
    ("type 2 history", START, START + "  - {property: scd, value: {type: 2}}\n", "scd", ["for entity tables"]),
    ("another version of the standard", "apiVersion: v3.2.0", "apiVersion: v3.1.0", "v3.1.0", ["must be 'v3.2.0'"]),
    ("a version that is not semantic", "version: 1.0.0", "version: '1.0'", "version: '1.0'", ["'1.0' is no semantic version"]),
    ("a version that YAML reads as a number", "version: 1.0.0", "version: 1.0", "version: 1.0", ["must be text, not 1.0"]),
    ("no version", "version: 1.0.0\n", "", "apiVersion", ["'version' is missing"]),
    ("an unknown status", "status: active", "status: activ", "activ", ["unknown status 'activ'", "Did you mean 'active'", "draft"]),
    ("a name that is not the file's", "name: reading\nversion", "name: readings\nversion", "name: readings", ["'readings'", "file is called 'reading'"]),
    ("a domain that is not the folder's", "domain: factory", "domain: sales", "domain: sales", ["folder is called 'factory'"]),
    ("a table name with capitals", "name: reading\nversion", "name: Reading\nversion", "name: Reading", ["small letter"]),
    ("a schema name that is not the contract's", "  - name: reading\n", "  - name: readings\n", "- name: readings", ["must be the contract's name, 'reading'"]),
    ("a physical name of its own", "physicalType: table", "physicalName: r_v1", "r_v1", ["must be the contract's name"]),
    ("two schema objects", "slaProperties:", "  - {name: other}\nslaProperties:", "schema:", ["one contract is one table"]),
    ("a logical type that is unknown", "logicalType: integer", "logicalType: intger", "intger", ["unknown value 'intger'", "Did you mean 'integer'", "timestamp"]),
    ("a physical type that is unknown", "physicalType: int\n", "physicalType: bigit\n", "bigit", ["unknown type 'bigit'", "Did you mean 'bigint'", "decimal(p,s)"]),
    ("a physical type that is not used here", "physicalType: int\n", "physicalType: timestamp_ntz\n", "timestamp_ntz", ["write timestamp", "defaultTimezone"]),
    ("a physical type that does not fit", "physicalType: int\n", "physicalType: string\n", "physicalType: string", ["can't hold logicalType integer", "bigint"]),
    ("a decimal without sense", "decimal(10,2)", "decimal(2,10)", "decimal(2,10)", ["1 to 38 digits"]),
    ("no logical type", "name: count\n        logicalType: integer", "name: count", "name: count", ["'logicalType' is missing", "string, integer"]),
    ("an array without a type", "logicalType: integer\n        physicalType: int", "logicalType: array", "name: count", ["logicalType array needs a `physicalType`"]),
    ("a column beginning with _", "name: metric", "name: _metric", "_metric", ["begins with '_'", "sourceField"]),
    ("a column name with a space", "name: metric", "name: the metric", "the metric", ["letters, digits and '_'", "sourceField"]),
    ("a column that stands twice", "name: count", "name: Metric", "Metric", ["'Metric' stands twice (as 'metric')"]),
    ("a field that is read twice", "value: Operator Name", "value: VALUE", "name: operator", ["reads the field 'VALUE', which 'value' reads already"]),
    ("a source field of a derived column", "transformLogic: cast(event_time as date)", "transformLogic: cast(event_time as date)\n        customProperties: [{property: sourceField, value: d}]", "sourceField, value: d}", ["drop `sourceField`"]),
    ("a key that is not required", "required: true\n        primaryKey: true", "required: false\n        primaryKey: true", "primaryKey: true", ["a key column must have `required: true`"]),
    ("no key", "        primaryKey: true\n        primaryKeyPosition: 1\n", "", "properties:", ["no column has `primaryKey: true`"]),
    ("a key that is a double", "physicalType: double\n", "physicalType: double\n        required: true\n        primaryKey: true\n        primaryKeyPosition: 2\n", "primaryKey: true", ["a key can't be double"]),
    ("key positions with a gap", "primaryKeyPosition: 1", "primaryKeyPosition: 3", "primaryKeyPosition: 3", ["must be 1 to 1"]),
    ("an order by no column", "orderBy: [event_time]", "orderBy: [event_tim]", "event_tim]", ["unknown column 'event_tim'", "Did you mean 'event_time'"]),
    ("an order without columns", "orderBy: [event_time]", "orderBy: []", "orderBy", ["at least 1 item"]),
    ("freshness by no column", "reading.event_time", "reading.event_tiem", "event_tiem", ["unknown column 'event_tiem'", "Did you mean 'event_time'", "date or a timestamp"]),
    ("freshness by a column that is no time", "reading.event_time", "reading.metric", "reading.metric", ["unknown column 'metric'", "event_time, event_date"]),
    ("freshness of another table", "element: reading.", "element: order.", "element: order", ["'order' is another table"]),
    ("freshness in weeks", "unit: h", "unit: w", "unit: w", ["unknown unit 'w'", "m, h, d"]),
    ("freshness of no time", "value: 2, unit", "value: 0, unit", "value: 0", ["above 0"]),
    ("freshness misspelt", "property: freshness", "property: freshnes", "freshnes,", ["Did you mean 'freshness'"]),
    ("no event date", "        partitioned: true\n", "", "properties:", ["one date column with `partitioned: true`"]),
    ("an event date that is a timestamp", "        required: true\n        logicalTypeOptions: {format", "        required: true\n        partitioned: true\n        logicalTypeOptions: {format", "logicalType: timestamp", ["must have logicalType date"]),
    ("an event date that may be empty", "required: true\n        partitioned", "required: false\n        partitioned", "required: false", ["the event date must have `required: true`"]),
    ("an event date in the key", "partitioned: true\n", "partitioned: true\n        primaryKey: true\n        primaryKeyPosition: 2\n", "primaryKey: true\n        primaryKeyPosition: 2", ["part of the row's identity anyway"]),
    ("lateness of an entity", "property: kind, value: event", "property: kind, value: entity", "lateness", ["is for event tables"]),
    ("an event date of an entity", "property: kind, value: event", "property: kind, value: entity", "partitioned: true", ["an entity table is not partitioned"]),
    ("a timezone that does not exist", "Europe/Berlin", "Europe/Berln", "Europe/Berln", ["unknown timezone 'Europe/Berln'", "Did you mean 'Europe/Berlin'"]),
    ("times without a zone", "defaultTimezone: Europe/Berlin", "timezone: false", "timezone: false", ["name it in `defaultTimezone`"]),
    ("a pattern that does not compile", "'^R-[0-9]+$'", "'^R-[0-9+$'", "'^R-[0-9+$'", ["is no regular expression"]),
    ("a pattern that only Python reads", "'^R-[0-9]+$'", "'^(?P<x>R)$'", "(?P<x>", ["only Python knows"]),
    ("a date pattern with two groups", "'dt=(\\d{4}-\\d{2}-\\d{2})'", "'dt=(\\d{4})-(\\d{2})'", "datePattern", ["has 2 groups", "one (YYYY-MM-DD), or three"]),
    ("a date pattern of strftime", "yyyy-MM-dd HH:mm:ss", "%Y-%m-%d", "%Y", ["not strftime's"]),
    ("a date pattern with minutes for months", "yyyy-MM-dd HH:mm:ss", "yyyy-mm-dd", "yyyy-mm", ["no month (MM)", "mm is minutes"]),
    ("a date pattern of hours alone", "yyyy-MM-dd HH:mm:ss", "HH:mm", "HH:mm", ["no year (yyyy) and no month (MM) and no day (dd)"]),
    ("a date pattern with the week's year", "yyyy-MM-dd HH:mm:ss", "YYYY-MM-DD", "YYYY", ["year is yyyy"]),
    ("a date pattern though dates are file times", "'**/*.csv', ", "'**/*.csv', date: modified, ", "date: modified", ["needs `date: path`"]),
    ("a glob outside the folder", "'**/*.csv'", "'../*.csv'", "../*.csv", ["glob below the source's folder"]),
    ("a path that climbs", "path: factory/reading,", "path: ../secrets,", "../secrets", ["must not climb"]),
    ("a path that is a glob", "path: factory/reading,", "path: 'factory/*.csv',", "factory/*.csv", ["must be a folder", "`pattern`"]),
    ("an unknown format", "format: csv", "format: jsonl", "jsonl", ["unknown format 'jsonl'", "Did you mean 'json'", "csv, parquet, avro"]),
    ("CSV's options for JSON", "format: csv", "format: json", "delimiter", ["is for CSV", "json"]),
    ("a server of a type that is not read", "type: local, path: factory/reading, format: csv", "type: snowflake, account: a, database: d, schema: s", "snowflake", ["not read by this version", "local, s3"]),
    ("no server", "servers:\n  - {server: landing, type: local, path: factory/reading, format: csv}\n", "", "apiVersion", ["'servers' is missing"]),
    ("a minimum above the maximum", "maximum: 1000}", "maximum: -1000}", "maximum: -1000", ["no value can be"]),
    ("a minimum that is text", "minimum: -273.15", "minimum: cold", "cold", ["must be a number"]),
    ("a length range that is empty", "maxLength: 20", "maxLength: 2", "maxLength: 2", ["no value can be"]),
    ("a bound that is no time", "{format: 'yyyy-MM-dd HH:mm:ss'", "{minimum: yesterday, format: 'yyyy-MM-dd HH:mm:ss'", "yesterday", ["is no timestamp"]),
    ("an enum value of another type", "physicalType: int\n", "physicalType: int\n        enum: [{value: 1}, {value: two}]\n", "two", ["'two' is no value of int"]),
    ("an enum value that stands twice", "{value: vibration}]", "{value: vibration}, {value: vibration, label: x}]", "label: x", ["'vibration' stands twice"]),
    ("an enum value that YAML reads as a number", "{value: vibration}]", "{value: 7}]", "value: 7", ["put it in quotes"]),
    ("an enum of doubles", "physicalType: double\n", "physicalType: double\n        enum: [{value: 1.5}]\n", "enum: [{value: 1.5", ["values that are exact", "decimal(p,s)"]),
    ("hashing a number", "physicalType: int\n", "physicalType: int\n        customProperties: [{property: masking, value: {policy: sha256}}]\n", "property: masking, value: {policy: sha256}}]", ["makes text, and the column is int"]),
    ("redacting the key", "primaryKeyPosition: 1\n", "primaryKeyPosition: 1\n        customProperties: [{property: masking, value: {policy: redact}}]\n", "redact", ["makes all keys equal"]),
    ("warning about a key", "primaryKeyPosition: 1\n", "primaryKeyPosition: 1\n        customProperties: [{property: onFail, value: warn}]\n", "value: warn}]", ["rows without a key can't be kept"]),
    ("ordering by a masked column", "orderBy: [event_time]", "orderBy: [operator]", "orderBy", ["masked, which loses its order"]),
    ("a rule that does not parse", RULE, rule("value >"), "expr", ["does not parse as SQL", "value"]),
    ("a rule that names no column", RULE, rule("valeu > 0"), "valeu", ["names 'valeu'", "Did you mean 'value'", "Columns: reading_id"]),
    ("a rule with a subquery", RULE, rule("value > (select 1)"), "select", ["must not hold a subquery"]),
    ("a rule that aggregates", RULE, rule("value < avg(value)"), "avg", ["avg() aggregates"]),
    ("a rule with a window", RULE, rule("row_number() over (order by value) = 1"), "over", ["window function"]),
    ("a rule that asks the clock", RULE, rule("event_time < now()"), "now()", ["depends on the clock"]),
    ("a rule that rolls dice", RULE, rule("rand() < value"), "rand", ["depends on chance"]),
    ("a rule with an unknown function", RULE, rule("lenght(metric) > 3"), "lenght", ["no function of Spark SQL", "Did you mean 'length'"]),
    ("a rule that is a statement", RULE, rule("delete from silver.reading"), "delete", ["must be an expression over one row"]),
    ("a rule that is no truth", RULE, rule("value + 1"), "value + 1", ["must be true or false"]),
    ("a rule of two expressions", RULE, rule("value > 0; value < 9"), "value > 0;", ["one SQL expression"]),
    ("a rule without an expression", RULE, "implementation: {onFail: warn}", "implementation", ["is missing"]),
    ("a rule whose engine is misspelt", "engine: lakehouse", "engine: lakehose", "lakehose", ["Did you mean 'lakehouse'"]),
    ("a rule called as an implied one", "id: plausible", "id: value_in_range", "value_in_range", ["follows from the columns"]),
    ("a rule without a name", "- id: plausible\n        type", "- type", "type: custom", ["needs an `id`"]),
    ("a derived column of a later one", "name: metric\n        logicalType: string", "name: metric\n        logicalType: string\n        transformLogic: cast(event_date as string)", "event_date as string", ["names 'event_date'", "before it"]),
    ("a row count that makes no sense", "mustBeGreaterThan: 10", "mustNotBe: 10", "mustNotBe", ["unknown operator", "mustBeGreaterThan"]),
    ("a severity that is unknown", "mustBeGreaterThan: 10", "severity: eror, mustBeGreaterThan: 10", "eror", ["unknown severity 'eror'", "Did you mean 'error'"]),
    ("an owner who is no address", "username: ada@example.com", "username: ada", "username: ada", ["must be an e-mail address"]),
    ("a tag with a space", "tags: [iot]", "tags: [internet of things]", "tags", ["letters, digits"]),
    ("yes for true", "required: true\n        primaryKey: true", "required: yes\n        primaryKey: true", "required: yes", ["must be true or false, not 'yes'"]),
    ("a key that stands twice", "version: 1.0.0", "version: 1.0.0\nversion: 2.0.0", "version: 2.0.0", ["stands twice", "first on line 5"]),
    ("YAML that breaks off", "tags: [iot]", "tags: [iot", "description:", ["is not YAML"]),
    ("a YAML tag", "tags: [iot]", "tags: !!python/object/apply:os.system [ls]", "tags", ["not allowed", "plain values"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "blamed", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_mistake_is_found_on_its_line_with_what_was_allowed(check: Check, event_text: str, old: str, new: str, blamed: str, says: list[str]) -> None:
    assert event_text.count(old) == 1, "the case must change one place"
    text = event_text.replace(old, new)
    line = text[: text.index(blamed, max(0, text.find(new)) if blamed in new else 0)].count("\n") + 1
    checked = check(text)
    told = [str(m) for m in checked.mistakes]
    assert checked.contract is None
    matching = [t for t in told if all(s in t for s in says)]
    assert matching, f"no mistake says {says}:\n" + "\n".join(told)
    assert any(t.startswith(f"{checked.file}:{line}: ") for t in matching), f"none is on line {line}:\n" + "\n".join(matching)
