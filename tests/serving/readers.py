"""What each reader of gold makes of its tables: rows, and the sum of every decimal column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from tillhouse.store import Store
from tillhouse.tables import Table, gold

Sums = dict[str, tuple[int, list[Decimal]]]


def sums_by_reader(store: Store) -> tuple[Sums, dict[str, Sums]]:
    """The sums of every table of gold by Spark, and by each other reader."""
    query = sums_query(lambda table: f"delta.`{store.path(table)}`")
    by_spark = told([tuple(row) for row in store.spark.sql(query).collect()])
    others: dict[str, Sums] = {"deltalake": {}, "polars": {}, "duckdb": {}}
    for table in gold.TABLES:
        path, name = store.path(table), table.full_name
        amounts = _amounts(table)
        stored = DeltaTable(path)
        arrow = pa.table(stored.to_pyarrow_table())
        others["deltalake"][name] = _to_sums(arrow.num_rows, [pc.sum(arrow[amount]).as_py() for amount in amounts])
        lazy = pl.scan_delta(path).select(pl.len(), *(pl.col(amount).sum() for amount in amounts)).collect().row(0)
        others["polars"][name] = _to_sums(lazy[0], lazy[1:])
        columns = "".join(f", sum({amount})" for amount in amounts)
        lake = duckdb.connect()
        lake.register("t", stored.to_pyarrow_dataset())
        found = lake.sql(f"SELECT count(*){columns} FROM t").fetchall()[0]
        others["duckdb"][name] = _to_sums(found[0], found[1:])
    return by_spark, others


def sums_query(place: Callable[[Table], str]) -> str:
    """SQL that tells the rows of every table of gold and the sums of its amounts as a text, all in one."""

    def of_table(table: Table) -> str:
        sums = "".join(f", CAST(coalesce(sum({name}), 0) AS STRING)" for name in _amounts(table))
        return f"SELECT '{table.full_name}', count(*), concat_ws(' ', ''{sums}) FROM {place(table)}"

    return " UNION ALL ".join(of_table(table) for table in gold.TABLES)


def told(rows: Sequence[tuple[str, int, str]]) -> Sums:
    """What ``sums_query`` answers."""
    return {name: _to_sums(count, [Decimal(text) for text in sums.split()]) for name, count, sums in rows}


def _amounts(table: Table) -> list[str]:
    return [field.name for field in table.struct if field.dataType.typeName() == "decimal"]


def asked_of_readers(store: Store) -> set[int]:
    """The versions of Delta's protocol that a reader of gold has to know."""
    return {DeltaTable(store.path(table)).protocol().min_reader_version for table in gold.TABLES}


def _to_sums(count: int, amounts: Iterable[Decimal | None]) -> tuple[int, list[Decimal]]:
    """A sum over nothing is 0 here; readers differ in what they call it."""
    return count, [amount or Decimal(0) for amount in amounts]
