{#-
    What this run was told: the dbt variable, or else the environment variable `DBT_LAKEHOUSE_<NAME>` (JSON); none when there is neither.
    The environment is the faster way, as dbt parses the whole project again whenever `--vars` differ. It is not read while parsing.
-#}
{% macro run_variable(name) %}
    {%- set told = var(name, none) -%}
    {%- if told is none and execute -%}
        {%- set told = env_var('DBT_LAKEHOUSE_' ~ name | upper, '') or none -%}
    {%- endif -%}
    {{ return(fromjson(told, default=told) if told is string else told) }}
{% endmacro %}
