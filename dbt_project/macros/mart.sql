{#-
    How a mart is created (first build, full refresh, dimensions). Its query becomes a temporary view, whose exact types the contract is checked
    against: dbt's own check sees `decimal` without its scale. A second view adds the columns' descriptions, which Spark carries into the
    table: an ALTER per column would each be a commit.
-#}
{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {%- if temporary -%}
        {{ create_temporary_view(relation, compiled_code) }}
    {%- else -%}
        {%- set view = temporary_view(relation, '__dbt_tmp') -%}
        {%- set documented = temporary_view(relation, '__dbt_documented') -%}
        {%- do run_query(create_temporary_view(view, compiled_code)) -%}
        {%- do assert_contract(view) -%}
        {%- do run_query(create_documented_view(documented, view)) -%}
        create or replace table {{ relation }}
        {{ file_format_clause() }}
        {{ tblproperties_clause() }}
        {{ partition_cols(label="partitioned by") }}
        {{ comment_clause() }}
        as
        select * from {{ documented }}
    {%- endif -%}
{%- endmacro %}


{% macro temporary_view(relation, suffix) %}
    {{ return(relation.incorporate(path={'identifier': relation.identifier ~ suffix}).include(database=false, schema=false)) }}
{% endmacro %}


{% macro create_documented_view(documented, view) %}
    {%- set columns = model.columns.values() | list -%}
    create or replace temporary view {{ documented }} (
        {%- for column in columns %}
        {{ column.name }} comment '{{ column.description | trim | replace("\\", "\\\\") | replace("'", "\\'") }}'{{ "," if not loop.last }}
        {%- endfor %}
    )
    as
    select {{ columns | map(attribute='name') | join(', ') }} from {{ view }}
{% endmacro %}


{#- Fails unless the view has exactly the columns and types that the model's yml declares. -#}
{% macro assert_contract(view) %}
    {%- set declared, built = {}, {} -%}
    {%- for column in model.columns.values() -%}
        {%- do declared.update({column.name | lower: column.data_type | lower | replace(' ', '')}) -%}
    {%- endfor -%}
    {%- for column in adapter.get_columns_in_relation(view) -%}
        {%- do built.update({column.name | lower: column.dtype | lower}) -%}
    {%- endfor -%}
    {%- set mistakes = [] -%}
    {%- for name in (declared.keys() | list + built.keys() | list) | unique | sort -%}
        {%- if declared.get(name) != built.get(name) -%}
            {%- do mistakes.append(name ~ ": the yml says " ~ declared.get(name, 'nothing') ~ ", the query gives " ~ built.get(name, 'nothing')) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if mistakes -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ " was not written: its query and its contract (" ~ model.patch_path ~ ") disagree.\n  "
            ~ mistakes | join("\n  ") ~ "\nThe table is as it was. Correct the query or the yml."
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- Before a run writes days of a mart. A column that other days don't have, or have as another type, takes a mart built anew. -#}
{% macro spark__process_schema_changes(on_schema_change, source_relation, target_relation) %}
    {%- do assert_contract(source_relation) -%}
    {%- set changes = check_for_schema_changes(source_relation, target_relation) -%}
    {%- if changes.schema_changed -%}
        {%- set columns = (changes.source_not_in_target + changes.target_not_in_source) | map(attribute='name') | list -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ " was not written: its table and its query differ in "
            ~ (columns + changes.new_target_types | map(attribute='column_name') | list) | sort | join(", ")
            ~ ".\nThe table is as it was. To build it anew: lakehouse materialize gold/" ~ model.name ~ " --recreate"
        ) -%}
    {%- endif -%}
{% endmacro %}
