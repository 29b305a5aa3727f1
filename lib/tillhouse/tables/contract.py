"""A table contract: grain, columns with comments, key and layout as data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructField, StructType

from tillhouse.errors import ContractError

VERSION_PROPERTY = "tillhouse.contractVersion"
MONTH = "_month"
MONTH_COLUMN = f"{MONTH} STRING NOT NULL COMMENT 'month of business_date, the partition'"
NO_MONTH = "unknown"  # of a record without trading day


@cache
def _to_struct(columns: str) -> StructType:
    schema = DataType.fromDDL(columns)
    assert isinstance(schema, StructType)
    return schema


@dataclass(frozen=True, slots=True)
class Table:
    """One Delta table.

    ``columns`` is Spark DDL with ``NOT NULL`` and ``COMMENT``. A ``personal`` table lives under the vault root and has no
    column statistics except on the neutral columns in ``statistics``, because they end up as clear text in the Delta log. An
    ``open_ended`` table may hold further text columns (bronze keeps every column of an export). A ``change_feed`` table tells
    the steps after it which rows changed. ``version`` grows with each change of the contract, see ops/upgrade.py.
    """

    schema: Literal["bronze", "silver", "vault", "gold", "ops"]
    name: str
    grain: str
    columns: str
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    personal: bool = False
    statistics: tuple[str, ...] = ()
    open_ended: bool = False
    change_feed: bool = False
    version: int = 1

    @property
    def properties(self) -> dict[str, str]:
        """Delta properties that every table of this contract has."""
        properties = {
            "delta.enableDeletionVectors": "false",  # readers without Spark refuse them
            "delta.checkpointInterval": "20",
            VERSION_PROPERTY: str(self.version),
        }
        if self.change_feed:
            properties["delta.enableChangeDataFeed"] = "true"
        if self.statistics:
            properties["delta.dataSkippingStatsColumns"] = ",".join(self.statistics)
        elif self.personal:
            properties["delta.dataSkippingNumIndexedCols"] = "0"
        return properties

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def struct(self) -> StructType:
        return _to_struct(self.columns)

    @property
    def column_names(self) -> list[str]:
        return self.struct.names

    def conform(self, df: DataFrame) -> DataFrame:
        """Exactly the columns of the contract, in its order and with its types.

        The month that a table is partitioned by is derived from ``business_date`` here. Nothing is cast: a silent cast is
        how cents get lost.

        Raises:
            ContractError: a column is missing or has another type.
        """
        if MONTH in self.partition_by and MONTH not in df.columns:
            df = df.withColumn(MONTH, F.coalesce(F.date_format("business_date", "yyyy-MM"), F.lit(NO_MONTH)))
        wanted = self.struct
        missing = [field.name for field in wanted if field.name not in df.columns]
        if missing:
            raise ContractError(
                f"{self.full_name}: columns missing: {', '.join(missing)}. "
                f"The table builder must select every column of the contract (tables/{self.schema}.py)."
            )
        wrong = [
            f"{field.name} is {df.schema[field.name].dataType.simpleString()} instead of {field.dataType.simpleString()}"
            for field in wanted
            if df.schema[field.name].dataType.simpleString() != field.dataType.simpleString()
        ]
        if wrong:
            raise ContractError(f"{self.full_name}: {'; '.join(wrong)}. Cast explicitly in the table builder.")
        extra = [name for name in df.columns if name not in wanted.names] if self.open_ended else []
        return df.select(*wanted.names, *(F.col(f"`{name}`") for name in extra))

    def filled(self, df: DataFrame) -> DataFrame:
        """Columns of the contract that rows lack added as NULL, for tables of which no kind of row has all columns."""
        missing = [field for field in self.struct if field.name not in df.columns and field.nullable]
        return df.select("*", *(F.lit(None).cast(field.dataType).alias(field.name) for field in missing))

    def field(self, name: str) -> StructField:
        return self.struct[name]
