"""Bronze: every delivered file once, every record as text with its file and row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.bronze import files
from tillhouse.bronze.files import Inspection
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records
from tillhouse.store import Store
from tillhouse.tables import ops
from tillhouse.tables.bronze import BROKEN, bronze_table


def run(store: Store, sources: Sequence[Source], landing: str, run_id: str, started_at: datetime) -> dict[str, int]:
    """Load what is new in the landing area; returns what was counted.

    The ledger is written after the data. A run that was killed in between is recognised by a bronze table that holds files
    which the ledger does not know; they are entered and not loaded again.
    """
    spark = store.spark
    deliveries = files.list_deliveries(spark, landing, sources)
    ledger = store.read(ops.FILE_LEDGER).select("source", "path", "file_id", "size_bytes", "modified_at", "status").collect()
    unmatched_before = {row["path"] for row in ledger if row["source"] is None}
    known = {(row["path"], row["size_bytes"], row["modified_at"]) for row in ledger if row["path"] not in unmatched_before}
    new = [d for d in files.news(deliveries, known) if d.source is not None or d.path not in unmatched_before]
    inspections = files.inspect(spark, new)
    loaded = {row["file_id"] for row in ledger if row["status"] == "loaded"}
    inspections = files.with_duplicates(inspections, loaded)
    to_load = [item for item in inspections if item.status == "loaded" and item.delivery.source is not None]
    for source in sources:
        _load(store, source, [item for item in to_load if item.delivery.source is source], loaded, run_id)
    if inspections:
        store.append(ops.FILE_COLUMN, _columns(spark, to_load, run_id))
        store.append(ops.FILE_LEDGER, _ledger_rows(spark, inspections, run_id, started_at))
    return {
        "files_new": len(inspections),
        "files_loaded": len(to_load),
        "files_duplicate": sum(item.is_duplicate for item in inspections),
        "files_rejected": sum(item.status == "rejected" for item in inspections),
        "rows_read": sum(item.rows_read for item in to_load),
        "rows_broken": sum(item.rows_broken for item in to_load),
    }


def _load(store: Store, source: Source, items: Sequence[Inspection], loaded: set[str], run_id: str) -> None:
    table = bronze_table(source.name, source.personal_data)
    store.create_missing([table])
    if not items:
        return
    in_ledger = {file_id for file_id in loaded}
    present = {row["_file_id"] for row in store.read(table).select("_file_id").distinct().collect()} - in_ledger
    missing = [item for item in items if item.file_id not in present]
    if missing:
        store.append(table, to_bronze(store.spark, source, missing, run_id))


def to_bronze(spark: SparkSession, source: Source, items: Sequence[Inspection], run_id: str) -> DataFrame:
    """The records of sound files as text columns, broken ones with their text and reason."""
    names = sorted({d.column for item in items for d in item.columns if d.decision != "missing"})
    facts = {item.delivery.uri: (item.delivery.path, item.file_id, item.delivery.captured) for item in items}
    technical = ["_file", "_file_id", "_row", "_run_id", "_captured", BROKEN, "_text"]
    schema = (
        "_file STRING, _file_id STRING, _row BIGINT, _run_id STRING, _captured MAP<STRING, STRING>, "
        f"{BROKEN} STRING, _text STRING" + "".join(f", `{name}` STRING" for name in names)
    )

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path, content in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True):
                records = read_records(content.as_py(), source)
                file, file_id, captured = facts[path]
                sound, broken = records.table.num_rows, records.broken
                total = sound + len(broken)
                rows = records.rows.to_pylist() + [item.row for item in broken]
                arrays: list[pa.Array] = [
                    pa.array([file] * total, pa.string()),
                    pa.array([file_id] * total, pa.string()),
                    pa.array(rows, pa.int64()),
                    pa.array([run_id] * total, pa.string()),
                    pa.array([list(captured.items())] * total, pa.map_(pa.string(), pa.string())),
                    pa.array([None] * sound + [item.reason for item in broken], pa.string()),
                    pa.array([None] * sound + [item.text for item in broken], pa.string()),
                ]
                for name in names:
                    if name in records.table.column_names:
                        column = records.table.column(name).combine_chunks()
                        padding = pa.nulls(len(broken), pa.string())
                        arrays.append(pa.concat_arrays([column, padding]) if broken else column)
                    else:
                        arrays.append(pa.nulls(total, pa.string()))
                yield from pa.Table.from_arrays(arrays, names=technical + names).to_batches(max_chunksize=50_000)

    return files.read_bytes(spark, [item.delivery for item in items]).mapInArrow(read, schema)


def _columns(spark: SparkSession, items: Sequence[Inspection], run_id: str) -> DataFrame:
    rows = [
        (item.delivery.source.name if item.delivery.source else "", item.file_id, d.column, d.decision, d.field, run_id)
        for item in items
        for d in item.columns
    ]
    return spark.createDataFrame(rows, ops.FILE_COLUMN.struct)


def _ledger_rows(spark: SparkSession, items: Sequence[Inspection], run_id: str, started_at: datetime) -> DataFrame:
    rows = [
        (
            item.delivery.source.name if item.delivery.source else None,
            item.delivery.path,
            item.file_id,
            item.sha256,
            item.delivery.size_bytes,
            item.delivery.modified_at,
            item.status if item.delivery.source else "rejected",
            item.reason if item.delivery.source else "no source in conf/sources has a file_pattern for this path",
            item.rows_read if item.status == "loaded" else 0,
            item.rows_read - item.rows_broken if item.status == "loaded" else 0,
            item.rows_broken if item.status == "loaded" else 0,
            item.rows_ignored if item.status == "loaded" else 0,
            run_id,
            started_at,
        )
        for item in items
    ]
    return spark.createDataFrame(rows, ops.FILE_LEDGER.struct)


def records_per_file(bronze: DataFrame) -> DataFrame:
    """Records that bronze holds of each file."""
    return bronze.groupBy("_file_id").agg(F.count("*").alias("records"))
