{#-
    The dates of this run: the run variable `dates`, a list of ISO dates, or such a list for each mart; none when it is absent, which means every date.
    A mart takes its own (`name`: of that mart); a model that has none, such as one that is compiled into several marts, takes those of all.
-#}
{% macro run_dates(name=none) %}
    {%- set told = run_variable('dates') -%}
    {%- if told is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set dates = told.get(name or model.name, told.values() | sum(start=[])) if told is mapping else told -%}
    {%- if dates is string or dates is not iterable or not dates -%}
        {%- do exceptions.raise_compiler_error("`dates` must be a list with at least one ISO date, or one for each mart; leave it out to build every date. Given: " ~ told) -%}
    {%- endif -%}
    {%- for date in dates if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', date | string) -%}
        {%- do exceptions.raise_compiler_error("`dates` holds `" ~ date ~ "`, which is no date like 2026-01-31.") -%}
    {%- endfor -%}
    {{ return(dates | map('string') | unique | sort) }}
{% endmacro %}


{#- A predicate that is true on the dates of this run: it filters what a fact reads and bounds what it replaces, so that both are the same days. -#}
{% macro in_dates(column) %}
    {{ return(one_of_dates(column, run_dates())) }}
{% endmacro %}


{#-
    The same for a model whose day is made from its neighbours too: true on the dates of this run, and on the days before and after each that the
    model's yml declares in `meta.reads_days`. The platform takes from there which days a changed day concerns.
-#}
{% macro in_dates_around(column) %}
    {%- set dates, around = run_dates(), [] -%}
    {%- if dates is none -%}
        {{ return(one_of_dates(column, none)) }}
    {%- endif -%}
    {%- set reach = (config.get('meta') or {}).get('reads_days') -%}
    {%- if not reach -%}
        {%- do exceptions.raise_compiler_error(model.name ~ " reads neighbouring days: declare `meta: {reads_days: {before: …, after: …}}` (one of them will do) in its yml.") -%}
    {%- endif -%}
    {%- for date in dates -%}
        {%- for days in range(-reach.get('before', 0), reach.get('after', 0) + 1) -%}
            {%- do around.append(modules.datetime.date.fromisoformat(date) + modules.datetime.timedelta(days=days)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(one_of_dates(column, around | map('string') | unique | sort)) }}
{% endmacro %}


{% macro one_of_dates(column, dates) %}
    {{ return('true' if dates is none else column ~ " in (date '" ~ dates | join("', date '") ~ "')") }}
{% endmacro %}
