"""Gold: business tables, built by dbt.

Here: the dbt project's models (`project`), which of them a lake builds (`marts`), what of them is stale (`progress`), the assets (`assets`).
Not here: SQL, which is the dbt project's.
"""
