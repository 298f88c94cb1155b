"""What a query's columns are made of, and what decides on its rows: each construct with its answer written by hand."""

from __future__ import annotations

import pytest
from sqlglot.errors import SqlglotError

from lakehouse.gold.query import made_of
from lakehouse.lineage import Ref

TABLES = {"silver.t": ("a", "b", "c", "List", "place"), "silver.u": ("k", "d", "e")}

# (query, its columns: name <- sources; after `|` what decides on rows), each source as table.column without the layer
CASES = {
    "a name, an alias, a constant": ("select a, b as x, 1 as one from silver.t", "a<-t.a x<-t.b one<- | t.*"),
    "a computed column": ("select a + coalesce(b, 0) as x from silver.t", "x<-t.a,t.b | t.*"),
    "a branch needs its conditions too": ("select case when a > 1 then b else c end as x from silver.t", "x<-t.a,t.b,t.c | t.*"),
    "everything": ("select * from silver.u", "k<-u.k d<-u.d e<-u.e | u.*"),
    "everything but": ("select * except (d) from silver.u", "k<-u.k e<-u.e | u.*"),
    "everything of one of two": ("select u.*, a from silver.t join silver.u on t.a = u.k", "k<-u.k d<-u.d e<-u.e a<-t.a | t.* u.* t.a u.k"),
    "an alias used beside it": ("select a as x, x + b as y from silver.t", "x<-t.a y<-t.a,t.b | t.*"),
    "a filter": ("select a from silver.t where b > 0 and c is null", "a<-t.a | t.* t.b t.c"),
    "CTEs, one upon the other": (
        "with one as (select a, b as x from silver.t where c > 0), two as (select *, x * 2 as y from one) select y from two",
        "y<-t.b | t.* t.c",
    ),
    "a CTE with names of its own": ("with one (x, y) as (select a, b from silver.t) select y from one", "y<-t.b | t.*"),
    "a derived table": ("select z.x from (select a as x, b from silver.t where c = 1) as z where z.b = 2", "x<-t.a | t.* t.c t.b"),
    "a CTE that is not used": ("with one as (select a from silver.t) select k from silver.u", "k<-u.k | u.*"),
    "using": ("with v as (select k as a, d from silver.u) select a, d from silver.t join v using (a)", "a<-t.a,u.k d<-u.d | t.* u.* t.a u.k"),
    "a full join": ("select coalesce(t.a, u.k) as x from silver.t full join silver.u on t.a = u.k", "x<-t.a,u.k | t.* u.* t.a u.k"),
    "a semi join": ("select t.a from silver.t left semi join silver.u on t.a = u.k", "a<-t.a | t.* u.* t.a u.k"),
    "groups": ("select a, sum(b) as x, count(*) as n from silver.t group by a having max(c) > 0", "a<-t.a x<-t.b n<-t.* | t.* t.a t.c"),
    "groups by position": ("select a, max(b) as x from silver.t group by 1", "a<-t.a x<-t.b | t.* t.a"),
    "all groups": ("select a, max(b) as x from silver.t group by all", "a<-t.a x<-t.b | t.* t.a"),
    "a count of some": ("select count_if(a > 1) as n, count(1) as m, count(b) as k from silver.t", "n<-t.a m<-t.* k<-t.b | t.*"),
    "a window": ("select lag(a) over (partition by b order by c) as x from silver.t", "x<-t.a,t.b,t.c | t.*"),
    "a window that filters": ("select a from silver.t qualify row_number() over (partition by b order by c desc) = 1", "a<-t.a | t.* t.b t.c"),
    "a window of time": (
        "select window(a, '5 minutes').start as x, count(*) as n from silver.t group by b, window(a, '5 minutes')",
        "x<-t.a n<-t.* | t.* t.b t.a",
    ),
    "distinct rows": ("select distinct a from silver.t", "a<-t.a | t.* t.a"),
    "the first few": ("select a from silver.t order by b limit 10", "a<-t.a | t.* t.b"),
    "an order alone decides nothing": ("select a from silver.t order by b", "a<-t.a | t.*"),
    "union all": ("select a, b as x from silver.t union all select k, d from silver.u where e > 0", "a<-t.a,u.k x<-t.b,u.d | t.* u.* u.e"),
    "union": ("select a from silver.t union select k from silver.u", "a<-t.a,u.k | t.* u.* t.a u.k"),
    "except": ("select a from silver.t except select k from silver.u", "a<-t.a,u.k | t.* u.* t.a u.k"),
    "a value looked up": ("select a, (select max(d) from silver.u where e > 0) as x from silver.t", "a<-t.a x<-u.d,u.e,u.* | t.*"),
    "exists, of this row": ("select a from silver.t where exists (select 1 from silver.u where u.k = t.b)", "a<-t.a | t.* u.* u.k t.b"),
    "in": ("select a from silver.t where b in (select k from silver.u)", "a<-t.a | t.* u.* u.k t.b"),
    "a lateral view": ("select a, item from silver.t lateral view explode(list) as item", "a<-t.a item<-t.List | t.* t.List"),
    "a generator": ("select a, explode(list) as item from silver.t", "a<-t.a item<-t.List | t.*"),
    "a field of a struct": ("select place.city as x, t.place.zip as y from silver.t", "x<-t.place y<-t.place | t.*"),
    "a lambda": ("select transform(list, v -> v + a) as x from silver.t", "x<-t.List,t.a | t.*"),
    "a unit is no column": ("select timestampdiff(second, a, b) as x, extract(hour from c) as h from silver.t", "x<-t.a,t.b h<-t.c | t.*"),
    "other case": ("select A as X, T.`List` from silver.t", "x<-t.a list<-t.List | t.*"),
    "values": ("select k, v from silver.u join (values (1, 'x')) as names (n, v) on u.k = names.n", "k<-u.k v<- | u.* u.k"),
    "itself": (
        "with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select n, d from r join silver.u on n = k",
        "n<- d<-u.d | u.* u.k",
    ),
}


def told(columns: str) -> tuple[dict[str, frozenset[Ref]], frozenset[Ref]]:
    made, _, rows = columns.partition("|")
    pairs = (part.split("<-") for part in made.split())
    return {name: _refs(sources.split(",")) for name, sources in pairs}, _refs(rows.split())


def _refs(names: list[str]) -> frozenset[Ref]:
    return frozenset(Ref(f"silver.{table}", column) for table, _, column in (n.partition(".") for n in names if n))


@pytest.mark.parametrize("case", CASES)
def test_columns_and_rows_are_made_of_what_the_query_says(case: str) -> None:
    query, expected = CASES[case]
    found = made_of(query, TABLES)
    assert (dict(found.columns), found.rows) == told(expected)


@pytest.mark.parametrize(
    "query",
    [
        "select a from silver.nowhere",
        "select zzz from silver.t",
        "select a from silver.t natural join silver.u",
        "select a from",
        "create table x (a int)",
        "with recursive r as (select a, b from silver.t union all select r.a, u.d from r join silver.u on r.b = u.k) select a from r",
        "select t.a, u.a from silver.t join silver.u on t.a = u.k",
    ],
)
def test_what_can_not_be_followed_is_an_error_and_never_a_guess(query: str) -> None:
    with pytest.raises(SqlglotError):
        made_of(query, TABLES)
