{#- Every value lies between the two, both included; NULL is another test's matter. -#}
{% test accepted_range(model, column_name, minimum, maximum) %}

select {{ column_name }}
from {{ model }}
where not {{ column_name }} between {{ minimum }} and {{ maximum }}

{% endtest %}
