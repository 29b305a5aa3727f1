"""The store: touched keys are replaced in one commit, and what does not differ is not written."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.errors import ContractError
from tillhouse.keys import content_hash
from tillhouse.store import Since, Store, on_days
from tillhouse.tables import Table
from tillhouse.tables.contract import MONTH

SALES = Table(
    schema="silver",
    name="sales",
    grain="one row per sale",
    columns="id STRING NOT NULL, business_date DATE, amount DECIMAL(18,2), _file STRING, _month STRING NOT NULL",
    key=("id",),
    partition_by=(MONTH,),
    change_feed=True,
)
JANUARY, MAY = date(2025, 1, 31), date(2025, 5, 1)


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    made = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    made.create_missing([SALES])
    return made


def sales(store: Store, rows: Iterable[tuple[str, date | None, str]], file: str = "f") -> DataFrame:
    values = [(key, day, Decimal(amount), file) for key, day, amount in rows]
    return store.spark.createDataFrame(values, "id STRING, business_date DATE, amount DECIMAL(18,2), _file STRING")


def keys(store: Store, *names: str) -> DataFrame:
    return store.spark.createDataFrame([(name,) for name in names], "id STRING")


def stored(store: Store) -> dict[str, tuple[date | None, str]]:
    return {row["id"]: (row["business_date"], str(row["amount"])) for row in store.read(SALES).collect()}


def since_now(store: Store) -> Since:
    return Since({SALES.full_name: store.version(SALES)[1]}, frozenset())


def test_only_the_touched_keys_are_replaced_wherever_they_lay(store: Store) -> None:
    store.append(SALES, sales(store, [("a", JANUARY, "1.00"), ("b", JANUARY, "2.00"), ("c", None, "3.00")]))
    moved = sales(store, [("a", MAY, "1.50"), ("d", MAY, "4.00")])
    assert store.replace(SALES, moved, keys(store, "a", "c", "d"), [JANUARY, MAY, None])
    assert stored(store) == {"a": (MAY, "1.50"), "b": (JANUARY, "2.00"), "d": (MAY, "4.00")}


def test_a_key_that_repeats_is_refused_and_nothing_is_written(store: Store) -> None:
    store.append(SALES, sales(store, [("a", JANUARY, "1.00")]))
    twice = sales(store, [("b", MAY, "1.50"), ("b", MAY, "2.00"), ("c", MAY, "2.00")])
    store.expect(3)
    with pytest.raises(ContractError, match=r"silver\.sales: 1 of 3 rows repeat a key \(id\); nothing was written"):
        store.replace(SALES, twice, keys(store, "b", "c"), [MAY])
    store.expect(None)
    assert stored(store) == {"a": (JANUARY, "1.00")}


def test_few_rows_are_little_work_unless_they_are_looked_for_in_a_large_table(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiles() -> bool:
        return store.spark.conf.get("spark.sql.codegen.wholeStage", "true") == "true"

    usual = compiles()
    store.append(SALES, sales(store, [("a", JANUARY, "1.00")]))
    store.expect(0, SALES)
    assert not compiles()
    monkeypatch.setattr("tillhouse.store.LARGE", 1)
    store.expect(0, SALES)
    assert compiles() == usual
    store.expect(0)
    assert not compiles()
    store.expect(None)


def test_a_value_that_may_not_be_missing_is_refused_and_nothing_is_written(store: Store) -> None:
    nameless = sales(store, [("a", JANUARY, "1.00")]).withColumn("id", F.lit(None).cast("string"))
    with pytest.raises(Exception, match="DELTA_NOT_NULL_CONSTRAINT_VIOLATED"):
        store.append(SALES, nameless)
    assert stored(store) == {}


def test_rows_that_do_not_differ_are_not_written_again(store: Store) -> None:
    rows = sales(store, [("a", JANUARY, "1.00"), ("b", MAY, "2.00")])
    assert store.replace(SALES, rows, keys(store, "a", "b"), [JANUARY, MAY])
    version = store.version(SALES)
    assert not store.replace(SALES, rows, keys(store, "a", "b"), [JANUARY, MAY])
    assert not store.overwrite(SALES, rows)
    assert not store.replace(SALES, rows, rows.select("business_date"), [JANUARY, MAY])  # whatever the column of the keys
    assert store.version(SALES) == version
    assert store.overwrite(SALES, rows.where("id = 'a'"))
    assert stored(store) == {"a": (JANUARY, "1.00")}


def test_an_overwritten_part_leaves_the_rest_alone(store: Store) -> None:
    store.append(SALES, sales(store, [("a", JANUARY, "1.00"), ("b", MAY, "2.00")]))
    assert store.overwrite(SALES, sales(store, [("a", JANUARY, "9.00")]), "id = 'a'")
    assert stored(store) == {"a": (JANUARY, "9.00"), "b": (MAY, "2.00")}
    store.remove(SALES, "id = 'b'")
    assert stored(store) == {"a": (JANUARY, "9.00")}


def test_rows_written_again_with_the_same_content_are_not_touched(store: Store) -> None:
    store.append(SALES, sales(store, [("a", JANUARY, "1.00"), ("b", JANUARY, "2.00"), ("c", MAY, "3.00")]))
    since = since_now(store)
    assert not store.has_news(SALES, since)
    changed = sales(store, [("a", JANUARY, "1.00"), ("b", JANUARY, "2.50")], file="another file")
    store.overwrite(SALES, changed, "business_date = DATE'2025-01-31'")
    assert store.has_news(SALES, since)
    touched = store.touched(SALES, since, ["id", "business_date"]).collect()
    assert [(row["id"], row["business_date"]) for row in touched] == [("b", JANUARY)]


def test_a_moved_row_touches_the_day_that_it_left_and_the_one_that_it_came_to(store: Store) -> None:
    store.append(SALES, sales(store, [("a", JANUARY, "1.00"), ("b", JANUARY, "2.00")]))
    since = since_now(store)
    store.replace(SALES, sales(store, [("a", MAY, "1.00")]), keys(store, "a"), [JANUARY, MAY])
    assert {row[0] for row in store.touched(SALES, since, ["business_date"]).collect()} == {JANUARY, MAY}


def test_changes_can_be_read_only_while_the_log_has_them(store: Store) -> None:
    store.append(SALES, sales(store, [("a", JANUARY, "1.00")]))
    now = store.version(SALES)[1]
    assert store.can_read_changes(SALES, now, now)
    assert store.can_read_changes(SALES, now - 1, now)
    next(Path(store.path(SALES), "_delta_log").glob(f"*{now}.json")).unlink()
    assert not store.can_read_changes(SALES, now - 1, now)


def test_a_table_whose_creation_was_killed_is_created(spark: SparkSession, tmp_path: Path) -> None:
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    log = Path(store.path(SALES), "_delta_log")
    (log / "_staged_commits").mkdir(parents=True)
    (log / f".{0:020d}.json.5a1e.tmp").touch()
    store.create_missing([SALES])
    assert store.version(SALES)[1] == 0
    assert stored(store) == {}


def test_days_select_partitions_and_rows_without_a_day() -> None:
    assert on_days([], SALES) == "false"
    assert on_days([MAY, JANUARY, MAY], SALES) == (
        "(_month IN ('2025-01', '2025-05') AND business_date IN (DATE'2025-01-31', DATE'2025-05-01'))"
    )
    assert on_days([None], SALES) == "_month = 'unknown'"


def test_a_value_that_moves_to_the_next_column_changes_the_hash(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, None), (None, 1), (1, None)], "a INT, b INT")
    first, moved, same = (row[0] for row in rows.select(content_hash("a", "b")).collect())
    assert first == same != moved
