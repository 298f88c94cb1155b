{#-
    The incremental strategy `replace_where`: one atomic commit replaces the run's days of a table, and nothing else. Only rows of these
    days are written: a model that is compiled into several marts reads the days of all of them. dbt-spark knows a fixed list of strategies; these two macros of its are overridden to add one.
-#}
{% macro dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format) %}
    {% if raw_strategy != 'replace_where' %}
        {% do exceptions.raise_compiler_error("Incremental strategy `" ~ raw_strategy ~ "`: this project writes its facts with `replace_where` only.") %}
    {% endif %}
    {% if file_format != 'delta' or not config.get('partition_by') %}
        {% do exceptions.raise_compiler_error("`replace_where` needs `file_format: delta` and `partition_by`, the column of days.") %}
    {% endif %}
    {{ return(raw_strategy) }}
{% endmacro %}


{% macro dbt_spark_get_incremental_sql(strategy, source, target, existing, unique_key, incremental_predicates) %}
    {%- do assert_contract(source) %}
    insert into {{ target }}
    by name
    replace where {{ in_dates(config.get('partition_by')) }}
    select * from {{ source }} where {{ in_dates(config.get('partition_by')) }}
{% endmacro %}
