"""Rows of a small star of which only some columns matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame, SparkSession

from tillhouse.tables import Table

EVER = date(1900, 1, 1)


def filled(spark: SparkSession, table: Table, rows: Sequence[Mapping[str, object]]) -> DataFrame:
    """Rows of a table of which only some columns matter; what must not be empty and is not said is 0, false or a text."""
    usual = {"boolean": False, "int": 0, "bigint": 0, "date": EVER, "string": "x"}
    complete = []
    for row in rows:
        assert set(row) <= set(table.column_names)
        values = []
        for field in table.struct:
            kind = field.dataType.simpleString()
            zero = Decimal(0) if kind.startswith("decimal") else usual.get(kind)
            values.append(row.get(field.name, None if field.nullable else zero))
        complete.append(tuple(values))
    return spark.createDataFrame(complete, table.struct)
