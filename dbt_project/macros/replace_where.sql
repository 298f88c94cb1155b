{#-
    The incremental strategy `replace_where`: one atomic commit replaces the run's days of a table, and nothing else. Only rows of these
    days are written: a model that is compiled into several marts reads the days of all of them. dbt-spark knows a fixed list of strategies; these two macros of its are overridden to add one.
-#}
{% macro dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format) %}
    {% if raw_strategy != 'replace_where' %}
        {% do exceptions.raise_compiler_error("Incremental strategy `" ~ raw_strategy ~ "`: this project writes its facts with `replace_where` only.") %}
    {% endif %}
    {% if file_format != 'delta' or not day_column(model) %}
        {% do exceptions.raise_compiler_error("`replace_where` needs `file_format: delta` and `partition_by`, the column of days.") %}
    {% endif %}
    {{ return(raw_strategy) }}
{% endmacro %}


{% macro dbt_spark_get_incremental_sql(strategy, source, target, existing, unique_key, incremental_predicates) %}
    {%- set these = in_dates(day_column(model)) %}
    insert into {{ target }}
    by name
    replace where {{ these }}
    select * from {{ source }} where {{ these }}
{% endmacro %}


{#- A mart's column of days: its `partition_by`, a name or a list of one. -#}
{% macro day_column(mart) %}
    {%- set told = mart.config.get('partition_by') or [] -%}
    {%- set columns = [told] if told is string else told -%}
    {%- if columns | length > 1 -%}
        {%- do exceptions.raise_compiler_error(mart.name ~ " has `partition_by` " ~ columns | join(", ") ~ ": it is the one column of days.") -%}
    {%- endif -%}
    {{ return(columns[0] if columns else none) }}
{% endmacro %}
