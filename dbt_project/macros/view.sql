{#-
    A view has the types of what it reads, as those widen: by default Spark casts to the types of the day the view was made. One that already says the same
    is left alone: most runs change data, not views, and each `create or replace` rewrites the catalogue.
-#}
{% macro spark__create_view_as(relation, sql) -%}
    {%- set existing = load_relation(relation) -%}
    {%- set text = sql | trim -%}
    {%- set as_made = 'View Text: ' ~ text ~ '\nView Original Text: ' ~ text ~ '\nView Schema Mode: TYPE EVOLUTION\n' -%}
    {%- if existing and existing.is_view and as_made in existing.information -%}
        select 'unchanged' as view
    {%- else -%}
        create or replace view {{ relation }} with schema type evolution as
        {{ text }}
    {%- endif -%}
{%- endmacro %}
