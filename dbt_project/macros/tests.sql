{#- A test of a fact reads the days of this run, not the whole table: what a check costs depends on the increment too. -#}
{% macro spark__get_where_subquery(relation) -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute else none -%}
    {%- set day = day_column(tested) if tested and tested.config.materialized == 'incremental' else none -%}
    {%- set dates = run_dates(tested.name) if day else none -%}
    {%- if dates is none -%}
        {{ return(default__get_where_subquery(relation)) }}
    {%- endif -%}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ one_of_dates(day, dates) ~ ' and (' ~ (config.get('where') or 'true') ~ ')) as tested') }}
{%- endmacro %}
