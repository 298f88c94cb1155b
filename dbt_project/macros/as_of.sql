{#-
    A predicate that is true for the version of a thing that was valid at a moment, and for none when the thing was not there: at most one row per key.
    `versions` is the alias of a history (columns valid_from, valid_to, is_deleted), `moment` an expression of type timestamp:

        left join {{ ref('stg_product') }} as product
            on orders.product_id = product.product_id and {{ as_of('product', 'orders.ordered_at') }}
-#}
{% macro as_of(versions, moment) %}
    {{- return(
        "(" ~ versions ~ ".valid_from <= " ~ moment ~ " and (" ~ moment ~ " < " ~ versions ~ ".valid_to or " ~ versions ~ ".valid_to is null)"
        ~ " and not " ~ versions ~ ".is_deleted)"
    ) -}}
{% endmacro %}
