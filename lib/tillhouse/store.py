"""The only module that reads and writes Delta. Every write is one commit and idempotent."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.storagelevel import StorageLevel

from tillhouse.tables import Table


class Store:
    """The tables of one lake: each is a Delta folder ``<root>/<schema>/<table>``; personal ones lie under the vault root."""

    def __init__(self, spark: SparkSession, lake: str, vault: str) -> None:
        self.spark = spark
        self.lake = lake.rstrip("/")
        self.vault = vault.rstrip("/")
        self._kept: list[DataFrame] = []

    def path(self, table: Table) -> str:
        """Folder of the table. A table of schema ``vault`` or with personal data lies under the vault root."""
        root = self.vault if table.schema == "vault" or table.personal else self.lake
        return f"{root}/{table.schema}/{table.name}"

    def exists(self, table: Table) -> bool:
        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def create_missing(self, tables: Iterable[Table]) -> None:
        """Create what does not exist yet, so that every public table can be read from the first run on."""
        missing = [table for table in tables if not self.exists(table)]
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(self._create, missing))

    def _create(self, table: Table) -> None:
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.path(table))
            .addColumns(table.struct)
            .comment(table.grain)
            .property("delta.enableDeletionVectors", "false")
            .property("delta.checkpointInterval", "20")
        )
        if table.personal:
            builder = builder.property("delta.dataSkippingNumIndexedCols", "0")
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        builder.execute()

    def read(self, table: Table) -> DataFrame:
        return self.spark.read.format("delta").load(self.path(table))

    def version(self, table: Table) -> tuple[str, int]:
        """Delta id and newest version of a table, from the log alone."""
        jvm = self.spark.sparkContext._jvm
        assert jvm is not None
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(table))
        snapshot = log.update(False, jvm.scala.Option.empty(), jvm.scala.Option.empty())
        return str(snapshot.metadata().id()), int(snapshot.version())

    def register(self, *tables: Table) -> None:
        """Make tables known to the session's catalogue by their location; the lake stays the truth."""
        for schema in {table.schema for table in tables}:
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for table in tables:
            self.spark.sql(f"DROP TABLE IF EXISTS {table.full_name}")
            self.spark.sql(f"CREATE TABLE {table.full_name} USING DELTA LOCATION '{self.path(table)}'")

    def keep(self, rows: DataFrame) -> DataFrame:
        """Rows that several writes of a step need are computed once; ``release`` frees them at its end."""
        self._kept.append(rows.persist(StorageLevel.MEMORY_AND_DISK))
        return self._kept[-1]

    def release(self) -> None:
        """Free what ``keep`` has kept."""
        while self._kept:
            self._kept.pop().unpersist()

    def overwrite(self, table: Table, rows: DataFrame) -> None:
        """Replace the whole content in one commit; readers see the old rows or the new ones."""
        self._write(table, table.conform(rows), mode="overwrite")

    def append(self, table: Table, rows: DataFrame) -> None:
        """Add rows. The caller makes sure that a repetition after a kill does not add them twice."""
        self._write(table, table.conform(rows), mode="append")

    def replace_where(self, table: Table, rows: DataFrame, predicate: str) -> None:
        """Replace the rows that fulfil the predicate by the given ones, which must fulfil it too, in one commit."""
        self._write(table, table.conform(rows), mode="overwrite", replaceWhere=predicate)

    def _write(self, table: Table, rows: DataFrame, mode: str, **options: str) -> None:
        if table.open_ended:
            options["mergeSchema"] = "true"
        if table.partition_by:
            rows = rows.repartition(*table.partition_by)
        if table.sort_by:
            rows = rows.sortWithinPartitions(*table.partition_by, *table.sort_by)
        rows.write.format("delta").mode(mode).options(**options).save(self.path(table))
