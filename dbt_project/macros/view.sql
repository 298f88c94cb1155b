{#- A view that already says the same is left alone: most runs change data, not views, and each `create or replace` rewrites the catalogue. -#}
{% macro spark__create_view_as(relation, sql) -%}
    {%- set existing = load_relation(relation) -%}
    {%- set text = 'View Text: ' ~ sql | trim ~ '\nView Original Text: ' -%}
    {%- if existing and existing.is_view and text in existing.information -%}
        select 'unchanged' as view
    {%- else -%}
        create or replace view {{ relation }} as
        {{ sql | trim }}
    {%- endif -%}
{%- endmacro %}
