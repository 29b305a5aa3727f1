"""No figure depends on the time zone of the session."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Chain
from tillhouse.tables import Table, gold, silver


def content(chain: Chain, table: Table) -> list[tuple[object, ...]]:
    """Rows without random customer ids and technical columns; instants as numbers, because showing them takes a time zone."""
    rows: DataFrame = chain.store.read(table)
    names = [name for name in table.column_names if not name.startswith("_") and not name.startswith("customer_")]
    instants = {field.name for field in table.struct if field.dataType.simpleString() == "timestamp"}
    columns = [F.unix_micros(name).alias(name) if name in instants else F.col(name).cast("string") for name in names]
    return sorted((tuple(row) for row in rows.select(*columns).collect()), key=str)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_gold_is_the_same_whatever_the_sessions_time_zone(demo_lake: Chain, tmp_path: Path, zone: str) -> None:
    (tmp_path / "landing").symlink_to(demo_lake.landing)
    other = demo_lake.in_folder(tmp_path)
    spark = demo_lake.spark
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        other.run()
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    for table in (silver.RECEIPT, gold.FCT_RECEIPT, gold.DIM_DATE, gold.DIM_BRANCH, gold.KPI_BRANCH_DAY):
        assert content(other, table) == content(demo_lake, table), table.full_name
