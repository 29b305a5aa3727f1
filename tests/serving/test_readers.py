"""What others find on disk: contracts that hold, and gold that is read without Spark as with it."""

from __future__ import annotations

import json

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql.types import StructType

from tests.conftest import Chain
from tests.serving.readers import Sums, asked_of_readers
from tillhouse.tables import Table, gold, ops, silver

PUBLISHED = (*silver.TABLES, *gold.TABLES, *ops.TABLES)


def test_every_table_of_gold_is_read_to_the_cent_by_every_reader(sums: tuple[Sums, dict[str, Sums]]) -> None:
    by_spark, others = sums
    assert others == dict.fromkeys(others, by_spark)


def test_no_table_of_gold_asks_more_of_a_reader_than_the_first_version_of_delta(demo_lake: Chain) -> None:
    assert asked_of_readers(demo_lake.store) == {1}


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.full_name)
def test_a_table_on_disk_is_what_its_contract_says(demo_lake: Chain, table: Table) -> None:
    """Columns in their order, types, what may be empty, comments and grain; and its key is unique."""
    stored = DeltaTable(demo_lake.store.path(table))
    assert StructType.fromJson(json.loads(stored.schema().to_json())) == table.struct
    assert stored.metadata().description == table.grain
    lake = duckdb.connect()
    lake.register("t", stored.to_pyarrow_dataset())
    found = lake.sql(f"SELECT count(*), count(DISTINCT ({', '.join(table.key)},)) FROM t").fetchall()[0]
    assert found[0] == found[1]
