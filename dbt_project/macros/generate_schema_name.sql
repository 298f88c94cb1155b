{#- A model's schema is exactly the one it names: `staging` and `gold`, with no prefix from the profile. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
