-- Without ANSI mode a bad cast gives NULL and an overflow wraps: silent losses. dbt-spark asks for it to be off; the engine does not listen.
-- In ANSI mode a number and a text have a number as their common type; without it, a text.
select 'ANSI mode is off' as finding
where typeof(coalesce(1, '1')) = 'string'
