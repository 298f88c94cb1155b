{#- Of a schema only what this run makes is looked up: the catalogue takes its time for each table, and dbt asks for nothing else. -#}
{% macro spark__list_relations_without_caching(relation) %}
    {%- set names = [] -%}
    {%- for node in graph.nodes.values() if node.unique_id in selected_resources and node.resource_type == 'model' -%}
        {%- do names.append(node.alias) -%}
    {%- endfor -%}
    {%- call statement('list_relations_without_caching', fetch_result=True) -%}
        show table extended in {{ relation.schema }} like '{{ names | join("|") or "*" }}'
    {%- endcall -%}
    {{ return(load_result('list_relations_without_caching').table) }}
{% endmacro %}
