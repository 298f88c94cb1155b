"""The statements that make a table what its contract says."""

from __future__ import annotations

import pytest

from lakehouse.contracts.spark_types import widens
from lakehouse.engine.metadata import TableState
from lakehouse.engine.shape import Shape, alterations, creation
from lakehouse.errors import DataError
from lakehouse.tables import Field, Table

T = Table("silver", "t")
FIELDS = (Field("id", "string", "It's the key."), Field("n", "integer"), Field("day", "date"))


def found(**properties: str) -> TableState:
    return TableState(T, "id", 3, 1, None, 3, properties, "Things.")


def test_a_table_is_made_with_its_comments_partition_and_properties() -> None:
    assert creation(T, Shape(FIELDS, "day", "It's", {"a": "b'c\\d"}), "/lake/t") == (
        "CREATE TABLE IF NOT EXISTS `silver`.`t` (`id` string COMMENT 'It\\'s the key.', `n` integer, `day` date) USING delta PARTITIONED BY (`day`) "
        "LOCATION '/lake/t' COMMENT 'It\\'s' TBLPROPERTIES ('a' = 'b\\'c\\\\d')"
    )


def test_a_table_that_is_as_it_should_be_is_left_alone() -> None:
    have = [Field("id", "string", "It's the key."), Field("N", "int"), Field("day", "date"), Field("more", "string")]
    assert alterations(found(a="b"), have, Shape(FIELDS, "day", "Things.", {"a": "b"}), ["day"]) == []


def test_columns_are_added_types_widened_and_comments_renewed_before_the_properties_say_so() -> None:
    have = [Field("n", "smallint", "old"), Field("id", "string", "It's the key.")]
    assert alterations(found(a="old"), have, Shape(FIELDS, None, "Else.", {"a": "new"}, widens), []) == [
        "ALTER TABLE `silver`.`t` ADD COLUMNS (`day` date)",
        "ALTER TABLE `silver`.`t` SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')",
        "ALTER TABLE `silver`.`t` ALTER COLUMN `n` TYPE integer",
        "ALTER TABLE `silver`.`t` ALTER COLUMN `n` COMMENT ''",
        "COMMENT ON TABLE `silver`.`t` IS 'Else.'",
        "ALTER TABLE `silver`.`t` SET TBLPROPERTIES ('a' = 'new')",
    ]


@pytest.mark.parametrize("have", ["bigint", "string"])
def test_a_type_that_can_not_become_the_new_one_is_an_error_that_names_the_way_out(have: str) -> None:
    with pytest.raises(DataError, match=rf"n is {have} and should be integer.*\n.*unchanged.*\n.*materialize silver/t --recreate"):
        alterations(found(), [Field("n", have)], Shape(FIELDS, None, "", {}, widens), [])


def test_no_type_is_widened_where_the_shape_does_not_say_so() -> None:
    with pytest.raises(DataError, match="n is smallint"):
        alterations(found(), [Field("n", "smallint")], Shape(FIELDS), [])


def test_another_partitioning_is_an_error() -> None:
    with pytest.raises(DataError, match="partitioned by nothing"):
        alterations(found(), list(FIELDS), Shape(FIELDS, "day"), [])
