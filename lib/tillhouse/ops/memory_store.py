"""Tables of one trial in memory: a layer's step runs as it is, and nothing is written to a lake."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from tillhouse.store import Store
from tillhouse.tables import Table


class MemoryStore(Store):
    """What a first run needs of a store, for a session without Java. The tables are gone with the object."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self._rows: dict[Table, pa.Table] = {}
        self._frames: dict[Table, DataFrame] = {}

    @property
    def written(self) -> Mapping[Table, pa.Table]:
        """The rows of every table that was written."""
        return self._rows

    def read(self, table: Table) -> DataFrame:
        found = self._frames.get(table)
        return self.spark.createDataFrame([], table.struct) if found is None else found

    def version(self, table: Table) -> tuple[str, int]:
        return table.full_name, int(table in self._rows)

    def keep(self, rows: DataFrame) -> DataFrame:
        return self._frame(rows.toArrow(), rows)

    def expect(self, rows: int | None, *searched: Table) -> None:
        """Sail needs no setting for little data."""

    def append(self, table: Table, rows: DataFrame) -> None:
        self.overwrite(table, self.read(table).unionByName(rows))

    def overwrite(self, table: Table, rows: DataFrame, where: str | None = None, *, is_news: bool = False) -> bool:  # noqa: ARG002 - a first run replaces nothing
        rows = table.conform(rows)
        kept = rows.toArrow()
        self._rows[table] = kept
        self._frames[table] = self._frame(kept, rows)
        return True

    def _frame(self, kept: pa.Table, rows: DataFrame) -> DataFrame:
        return self.spark.createDataFrame(kept) if kept.num_rows else self.spark.createDataFrame([], rows.schema)
