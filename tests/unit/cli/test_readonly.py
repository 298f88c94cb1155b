"""`lakehouse query` takes what reads the lake's tables, and refuses everything else before it reaches the engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.cli.readonly import read_only
from lakehouse.errors import QueryRefused

TAKEN = [
    "select 1",
    "SELECT 1;;",
    "-- a comment\nselect 1 -- another",
    "/* one */ select /* two */ 1",
    "values (1, 2)",
    "(select 1) union all (select 2)",
    "with a as (select 1 as x) select * from a",
    "with recursive a as (select 1) select * from a",
    "select 'insert into x; drop table y' as text",
    "select a as `a/b` from silver.x",
    "select `reflect`, `identifier` from silver.x",
    "select transform(array(1), x -> x + 1)",
    "select * from silver.x version as of 3",
    "select * from silver.x timestamp as of '2026-01-01'",
    "select * from range(3)",
    "select * from table_changes('silver.x', 1)",
    "select * from silver.x lateral view explode(y) e as z",
    "select * from silver.x a join silver.y b using (id)",
    "select * from silver.x tablesample (10 percent)",
    "select count_if(a > 1) filter (where b) from silver.t group by all",
    "select a, row_number() over (partition by b order by c) as n from silver.t qualify n = 1",
    "show tables in silver",
    "show tables in silver like '*reading*'",
    "show databases",
    "show create table silver.x",
    "SHOW TBLPROPERTIES silver.x",
    "describe silver.x",
    "describe extended silver.x",
    "desc history silver.x",
    "describe query select 1",
    "describe select 1",
    "explain select 1",
    "explain extended\nselect 1",
    "explain formatted with a as (select 1) select * from a",
]

WRITES = [
    "insert into silver.x select 1",
    "insert overwrite silver.x select 1",
    "with a as (select 1) insert into silver.x select * from a",
    "with x as (insert into y select 1) select * from x",
    "from silver.x insert into silver.y select *",
    "select * from (insert into x select 1)",
    "select 1 into x",
    "delete from x",
    "update x set a = 1",
    "merge into x using y on a = b when matched then delete",
    "create table x (a int)",
    "create table x as select 1",
    "create temp view v as select 1",
    "create function f as 'org.example.F' using jar '/f.jar'",
    "alter table x add columns (a int)",
    "drop table silver.x",
    "truncate table x",
    "optimize x",
    "vacuum x retain 0 hours",
    "restore table x to version as of 1",
    "msck repair table x",
    "analyze table x compute statistics",
    "comment on table x is 'a'",
    "copy into x from '/y'",
    "load data inpath '/x' into table y",
    "grant select on x to y",
    "cache table x",
    "uncache table x",
    "refresh table x",
    "with x as (select 1) drop table y",
]

COMMANDS = [
    "set spark.sql.ansi.enabled=false",
    "reset",
    "use silver",
    "add jar '/x.jar'",
    "add file '/etc/passwd'",
    "list jars",
    "call x.y()",
    "execute immediate 'drop table x'",
    "begin select 1; end",
    "begin drop table x; end",
    "declare x int",
    "kill query 1",
    "!ls",
    "dfs -ls /",
    "source x.sql",
    "table silver.x",
    "from silver.x select *",
    "explain",
    "explain insert into x select 1",
    "explain codegen delete from x",
    "explain drop table x",
    "explain show tables",
    "describe query insert into x select 1",
]

SEVERAL = [
    "select 1; select 2",
    "select 1; drop table silver.x",
    "select 1;\n-- x\n;drop table silver.x;",
    "explain select 1; drop table x",
    "show tables; drop table x",
    "select 1\x00; drop table x",
]

FILES = [
    "select * from delta.`/tmp/x`",
    "select * from DELTA . `/tmp/x`",
    "select * from /* */ delta /* */ . `/tmp/x`",
    "select * from spark_catalog.delta.`/tmp/x`",
    "select * from json.`/etc/passwd`",
    "select * from text.`x`",
    "select * from binaryFile.`x`",
    "select * from `parquet`.`s3://bucket/x`",
    "select * from `org.apache.spark.sql.json`.`/x`",
    "select * from `/tmp/x`",
    "select * from `file:/tmp/x`",
    "select 1 union select * from csv.`/x`",
    "select * from silver.x where exists (select * from csv.`/x`)",
    "with a as (select * from orc.`/x`) select * from a",
    "select (select max(value) from text.`/etc/passwd`)",
    "describe delta.`/x`",
    "desc history delta.`/x`",
    "describe detail '/x' delta.`/x`",
    "show create table delta.`/x`",
    "show columns in json.`/x`",
    "explain select * from delta.`/x`",
    "select * from read_files('/etc')",
    "select * from table_changes_by_path('/x', 1)",
    "select * from cloud_files('/x', 'json')",
    "select * from a_function_nobody_knows(1)",
    "select * from identifier('delta.`/x`')",
]

CODE = [
    "select reflect('java.lang.System', 'getenv')",
    "select `reflect`('a', 'b')",
    "select REFLECT /* */ ('a', 'b')",
    "select system.builtin.reflect('a', 'b')",
    "select try_reflect('a', 'b')",
    "select java_method('a', 'b')",
    "select max(reflect('a', 'b')) from silver.x",
    "select 1 where reflect('a', 'b') is null",
    "select r'raw\\', reflect('a', 'b')",
    "select 'it''s', reflect('a', 'b')",
    "select identifier('reflect')('a')",
    "select transform(a) using 'cat' from silver.x",
    "select transform(a) /* */ using 'cat' as b from silver.x",
    "map a using 'cat' from silver.x",
    "describe query select reflect('a', 'b')",
    "select ${env:HOME}",
    "select '${system:java.home}'",
    "select ${hiveconf:x}",
]

UNREADABLE = ["", "  ;", "-- nothing", "sel ect 1", "select 'abc", "select 1 /* open", "select from where", "\ufeffdrop table x"]


@pytest.mark.parametrize("sql", TAKEN)
def test_a_query_is_taken(sql: str) -> None:
    assert read_only(sql).sql


@pytest.mark.parametrize("sql", [*WRITES, *COMMANDS, *SEVERAL, *FILES, *CODE, *UNREADABLE])
def test_anything_else_is_refused_with_the_state_and_what_to_do(sql: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        read_only(sql)
    assert refused.value.what.startswith("Refused: ")
    assert refused.value.state == "Nothing was sent to the engine."
    assert refused.value.next_step


@pytest.mark.parametrize("sql", WRITES)
@pytest.mark.parametrize("frame", ["/* select 1 */ {}", "-- select 1\n{}", "  \n\t{}", "({})", "{} ;"])
def test_a_write_is_refused_in_whatever_it_is_wrapped(sql: str, frame: str) -> None:
    with pytest.raises(QueryRefused):
        read_only(frame.format(sql))


@pytest.mark.parametrize("sql", TAKEN)
def test_what_is_sent_begins_as_a_statement_that_can_only_read(sql: str) -> None:
    first = read_only(sql).sql.split(None, 1)[0].upper()
    assert first.startswith(("SELECT", "VALUES", "(", "SHOW", "DESC", "EXPLAIN"))


def test_a_with_is_sent_inside_a_select_and_remembers_the_line_it_moved() -> None:
    statement = read_only("with a as (select 1) select * from a")
    assert statement.sql == "SELECT * FROM (\nwith a as (select 1) select * from a\n)"
    assert statement.lines_before == 1


def test_comments_around_the_statement_are_not_sent() -> None:
    assert read_only("/* a */ -- b\n select 1 -- c\n;").sql == "select 1"


def test_a_mistake_is_shown_with_its_place() -> None:
    with pytest.raises(QueryRefused, match=r"line 2, column \d+"):
        read_only("select (a\nfrom silver.x")


@given(st.text(max_size=60))
def test_no_text_whatever_gets_through_as_anything_but_a_read(text: str) -> None:
    try:
        sent = read_only(text).sql
    except QueryRefused:
        return
    assert sent.split(None, 1)[0].upper().startswith(("SELECT", "VALUES", "(", "SHOW", "DESC", "EXPLAIN"))


@given(
    st.lists(
        st.sampled_from(["select 1", "drop table x", ";", "--", "/*", "*/", "'", '"', "`", "\n", "\\", "insert into x", "with a as (", ")", "from t"]),
        max_size=8,
    )
)
def test_no_mixture_of_quotes_and_comments_hides_a_write(parts: list[str]) -> None:
    try:
        sent = read_only(" ".join(parts)).sql
    except QueryRefused:
        return
    assert sent.split(None, 1)[0].upper().startswith(("SELECT", "("))
