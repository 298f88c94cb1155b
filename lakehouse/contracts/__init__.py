"""Data contracts: ODCS 3.2 YAML files with our profile of customProperties, read into one frozen vocabulary.

    yaml_file      text → values and the line of each            profile     our customProperties, as pydantic models
    standard       values against the ODCS JSON schema           spark_types Spark SQL types, and which logical types they fit
    expressions    SQL in contracts, checked without a JVM       mistakes    what is wrong, where, and what was allowed
    columns · source · table     parts of a contract             loader      folder → contracts, or every mistake
    rules          rules that a contract implies                 spark_schema · dbt_sources     what is derived from contracts
    infer · sample · draft       sample files → a draft contract

Importing this package loads nothing; `loader.load_contracts` is the way in, `model` the vocabulary. Not here: Spark, Dagster.
"""
