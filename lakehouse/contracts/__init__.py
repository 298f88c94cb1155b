"""Data contracts: ODCS 3.2 YAML files with our profile of customProperties, read into one frozen vocabulary.

    reading    yaml_file (text → values and the line of each) · node (a value and its place) · mistakes (what is wrong, where, what was allowed)
    checking   standard (the ODCS JSON schema) · profile (our customProperties) · spark_types · expressions (SQL, without Spark) · regexes
    parts      columns · identity · dates · source · promises · table (all of them together) · loader (folder → contracts, or every mistake)
    derived    rules (what a contract implies) · spark_schema · dbt_sources · describe
    changing   change (what one means) · compare · compare_columns · recorded (in a table's properties) · at_ref (in git)
    drafting   sample → guess → keys → infer → draft · suggest (columns for a contract that is there)

Importing this package loads nothing; `loader.load_contracts` is the way in, `model` the vocabulary. Not here: Spark, Dagster.
"""
