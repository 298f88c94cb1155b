"""A lakehouse of Dagster assets: contracts in, Bronze, Silver and Gold tables out.

The way of the data, left to right:
    sources     what can be read, and what is new there
    bronze      what arrived, and where from
    silver      typed by the contract, ruled, deduplicated; refused rows go to quarantine
    gold        business tables, built by dbt

The promises, one home each:
    contracts   a table, declared once
    engine      the one Spark application, and the only writers of Delta tables
    quality     row rules, checks, quarantine
    governance  which contract a table was made by
    alerts      who is told what is wrong, once

Vocabulary and entry points: tables, lineage, storage, settings, errors, resources, runs, failures, pending, orphans, automation, definitions, cli.
"""
