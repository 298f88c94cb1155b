{#-
    What a mart's commit says about itself: the run variable `commit_metadata` maps a model's name to the text (JSON) that becomes `userMetadata`
    of its Delta commit, so that what the mart has consumed is recorded in the very commit that holds the data. A mart with no entry is written without.
-#}
{% macro commit_metadata() %}
    {%- set metadata = (run_variable('commit_metadata') or {}).get(model.name) -%}
    {{ return(metadata if metadata is string or not metadata else tojson(metadata, sort_keys=true)) }}
{% endmacro %}


{% macro set_commit_metadata() %}
    {%- set text = commit_metadata() -%}
    {%- if text and '${' in text -%}
        {%- do exceptions.raise_compiler_error("The commit metadata of " ~ model.name ~ " holds `${`, which Spark would take for a variable.") -%}
    {%- endif -%}
    {%- if text -%}
        set spark.databricks.delta.commitInfo.userMetadata = `{{ text | replace('`', '``') }}`
    {%- endif -%}
{% endmacro %}


{#- Another statement on the same connection must not carry it on. -#}
{% macro reset_commit_metadata() %}
    {%- if commit_metadata() -%}
        reset spark.databricks.delta.commitInfo.userMetadata
    {%- endif -%}
{% endmacro %}
