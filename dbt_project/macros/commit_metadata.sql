{#-
    What a mart's commit says about itself: the variable `commit_metadata` maps a model's name to the text (JSON) that becomes `userMetadata`
    of its Delta commit, so that what the mart has consumed is recorded in the very commit that holds the data.
    A mart with no entry is written without.
-#}
{% macro set_commit_metadata() %}
    {%- set metadata = (var('commit_metadata', none) or {}).get(model.name) -%}
    {%- if metadata -%}
        {%- set text = metadata if metadata is string else tojson(metadata, sort_keys=true) -%}
        {#- Quoted with backticks, so that a semicolon does not end it; a dollar sign is refused, as Spark would substitute `${…}`. -#}
        {%- if '${' in text -%}
            {% do exceptions.raise_compiler_error("The commit metadata of " ~ model.name ~ " holds `${`, which Spark would take for a variable.") %}
        {%- endif -%}
        set spark.databricks.delta.commitInfo.userMetadata = `{{ text | replace('`', '``') }}`
    {%- endif -%}
{% endmacro %}


{#- Another statement on the same connection must not carry it on. -#}
{% macro reset_commit_metadata() %}
    {%- if (var('commit_metadata', none) or {}).get(model.name) -%}
        reset spark.databricks.delta.commitInfo.userMetadata
    {%- endif -%}
{% endmacro %}
