"""Bronze: every delivered file once, every record as text with its file and row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from tillhouse.bronze import controls, files
from tillhouse.bronze.files import Inspection
from tillhouse.errors import SourceError, TillhouseError
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records
from tillhouse.sources.records import Records, column_key
from tillhouse.store import Since, Store, quoted
from tillhouse.tables import Table, ops
from tillhouse.tables.bronze import TECHNICAL, bronze_table

_CAPTURED = pa.map_(pa.string(), pa.string())


Gate = Callable[[Sequence[Inspection]], Sequence[Inspection]]


def run(
    store: Store,
    sources: Sequence[Source],
    landing: str,
    run_id: str,
    started_at: datetime,
    *,
    gate: Gate = lambda inspections: inspections,
    since: Since | None = None,
) -> dict[str, int]:
    """Load what is new in the landing area; returns what was counted.

    ``gate`` holds files back that must not be published yet; they are not loaded, and the next run asks it again. ``since``:
    the tables as a run that ended well has left them; one that still is need not be looked at.

    The ledger is written last. What a killed run has left behind is known by its run, which the ledger does not name, and
    is taken back first; then its files are new again. So are files whose records a table has lost.

    Raises:
        TillhouseError: records would be lost, because their files are no longer in the landing area; nothing was changed.
    """
    listed = files.list_deliveries(store.spark, landing, sources)
    deliveries = [delivery for delivery in listed if not delivery.is_control]
    control_files = {delivery.path: delivery for delivery in listed if delivery.is_control}
    paths = {delivery.path for delivery in deliveries}
    ledger = sorted(store.read(ops.FILE_LEDGER).collect(), key=lambda row: (row["loaded_at"], row["run_id"]))
    tables = {source.name: bronze_table(source.name, source.personal_data) for source in sources}
    known = since if store.is_as_left(ops.FILE_LEDGER, since) else None
    touched = {name: table for name, table in tables.items() if not store.is_as_left(table, known)}
    differing = {name for name, table in touched.items() if store.row_count(table) != _rows_read(ledger, name)}
    lost = [row for name in differing for row in _lost(store, tables[name], name, ledger)]
    ledger = [row for row in ledger if row not in lost]
    seen = {_key(row): files.Seen(row["status"], row["reason"]) for row in ledger}
    inspections = files.inspect(store.spark, files.news(deliveries, seen))
    inspections = controls.with_controls(store.spark, inspections, control_files)
    inspections = files.with_duplicates(inspections, {row["file_id"] for row in ledger if row["status"] == "loaded"})
    inspections = [item for item in gate(inspections) if seen.get(item.delivery.key) != files.Seen(item.status, item.reason)]
    loaded = [item for item in inspections if item.status == "loaded"]
    _refuse_loss(lost, loaded)
    store.expect(sum(item.rows_read for item in loaded))
    for source_name, lost_run in sorted({(row["source"], row["run_id"]) for row in lost}):
        of_run = f"source IN ({quoted([source_name])}) AND run_id IN ({quoted([lost_run])})"
        store.remove(ops.FILE_LEDGER, f"{of_run} AND status = 'loaded'")
        store.remove(ops.FILE_COLUMN, of_run)
    for source in sources:
        table = tables[source.name]
        if source.name in differing:
            _take_back(store, table, "_run_id", ledger, paths)
        items = [item for item in loaded if item.delivery.source is source and item.rows_read]
        if items:
            store.append(table, to_bronze(store.spark, source, items, run_id))
    if loaded:
        _take_back(store, ops.FILE_COLUMN, "run_id", ledger)
        store.append(ops.FILE_COLUMN, _columns(store.spark, loaded, run_id))
    if inspections:
        store.append(ops.FILE_LEDGER, ledger_rows(store.spark, inspections, run_id, started_at))
    return {
        "files_new": len(inspections),
        "files_loaded": len(loaded),
        "files_duplicate": sum(item.status == "duplicate" for item in inspections),
        "files_rejected": sum(item.status == "rejected" for item in inspections),
        "files_held": sum(item.status == "held" for item in inspections),
        "rows_read": sum(item.rows_read for item in loaded),
        "rows_broken": sum(item.rows_broken for item in loaded),
    }


def _key(row: Row) -> tuple[str | None, str, int, datetime]:
    return row["source"], row["path"], row["size_bytes"], row["modified_at"]


def _rows_read(ledger: Sequence[Row], source: str) -> int:
    return sum(row["rows_read"] for row in ledger if row["status"] == "loaded" and row["source"] == source)


def _lost(store: Store, table: Table, source: str, ledger: Sequence[Row]) -> list[Row]:
    """Files that the ledger counts as loaded although the table has no row of their run: it has lost commits."""
    there = {row[0] for row in store.read(table).select("_run_id").distinct().collect()}
    loaded = [row for row in ledger if row["status"] == "loaded" and row["source"] == source]
    with_rows = {row["run_id"] for row in loaded if row["rows_read"]}
    return [row for row in loaded if row["run_id"] in with_rows - there]


def _refuse_loss(lost: Sequence[Row], loaded: Sequence[Inspection]) -> None:
    """Raises TillhouseError if records that a table has lost cannot be loaded again."""
    gone = sorted({row["path"] for row in lost if row["file_id"] not in {item.file_id for item in loaded}})
    if gone:
        raise TillhouseError(
            f"bronze has lost the records of {len(gone)} files that are no longer in the landing area: {', '.join(gone[:10])}. "
            "Nothing was changed. Remedy: put these files back where they were delivered, or bring the table's folder back "
            "from a backup; then run again."
        )


def _take_back(store: Store, table: Table, run_column: str, ledger: Sequence[Row], paths: AbstractSet[str] | None = None) -> None:
    """Remove the rows of a run that was killed before it could write the ledger; their files lie below ``paths``.

    Raises:
        TillhouseError: there are several such runs, or the files are gone. Then the ledger is incomplete, and rows would be lost.
    """
    rows = store.read(table)
    unknown = {row[0] for row in rows.select(run_column).distinct().collect()} - {row["run_id"] for row in ledger}
    if len(unknown) > 1:
        raise TillhouseError(
            f"{table.full_name} holds rows of runs that ops.file_ledger does not know: {', '.join(sorted(unknown))}. "
            "Nothing was changed. Remedy: bring ops.file_ledger back (RESTORE TABLE), or remove the table's folder, which loads "
            "all of it again from the landing area."
        )
    for run_id in unknown:
        if paths is not None:
            named = rows.where(F.col(run_column) == run_id).select("_file").distinct().collect()
            gone = sorted({row["_file"] for row in named} - paths)
            if gone:
                raise TillhouseError(
                    f"{table.full_name} holds rows of run {run_id}, which ops.file_ledger does not know, and their files are no "
                    f"longer in the landing area: {', '.join(gone[:10])}. Nothing was changed. Remedy: put these files back "
                    "where they were delivered; the run then loads them again, once."
                )
        store.remove(table, f"{run_column} IN ({quoted([run_id])})")


def to_bronze(spark: SparkSession, source: Source, items: Sequence[Inspection], run_id: str) -> DataFrame:
    """The records of sound files as text columns, broken ones with their text and reason."""
    item_of = {item.delivery.uri: item for item in items}
    names = names_of(items)
    types = ("STRING", "STRING", "BIGINT", "STRING", "MAP<STRING, STRING>", "STRING", "STRING")
    columns = [f"{name} {kind}" for name, kind in zip(TECHNICAL, types, strict=True)]
    schema = ", ".join(columns + [f"`{name}` STRING" for name in names.values()])

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path, content in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True):
                item, data = item_of[path], content.as_py()
                if files.sha256(data) != item.sha256:
                    raise SourceError(
                        f"{item.delivery.path} was changed while it was read; nothing was loaded. Remedy: run again."
                    )
                yield from with_lineage(read_records(data, source), item, run_id, names).to_batches(max_chunksize=50_000)

    return files.read_bytes(spark, [item.delivery for item in items]).mapInArrow(read, schema)


def names_of(items: Sequence[Inspection]) -> dict[str, str]:
    """The columns of the files' bronze rows that are the export's own, by what tells them apart."""
    found = sorted(decision.column for item in items for decision in item.columns if decision.is_in_table)
    return {column_key(name): name for name in found}


def with_lineage(records: Records, item: Inspection, run_id: str, names: dict[str, str]) -> pa.Table:
    """Sound and broken records in one table: first the technical columns, then those of the export."""
    sound, total = records.table.num_rows, records.rows_read
    given = {column_key(name): records.table.column(name).combine_chunks() for name in records.columns}
    empty, filler = pa.nulls(sound, pa.string()), pa.nulls(total - sound, pa.string())
    broken = records.broken
    columns = [
        pa.repeat(pa.scalar(item.delivery.path), total),
        pa.repeat(pa.scalar(item.file_id), total),
        pa.concat_arrays([records.rows, pa.array([record.row for record in broken], pa.int64())]),
        pa.repeat(pa.scalar(run_id), total),
        pa.array([list(item.delivery.captured.items())], _CAPTURED).take(pa.repeat(pa.scalar(0), total)),
        pa.concat_arrays([empty, pa.array([record.reason for record in broken], pa.string())]),
        pa.concat_arrays([empty, pa.array([record.text for record in broken], pa.string())]),
        *(pa.concat_arrays([given.get(key, empty), filler]) for key in names),
    ]
    return pa.Table.from_arrays(columns, names=[*TECHNICAL, *names.values()])


def _columns(spark: SparkSession, items: Sequence[Inspection], run_id: str) -> DataFrame:
    rows = [
        (item.delivery.key[0], item.file_id, decision.column, decision.decision, decision.field, run_id)
        for item in items
        for decision in item.columns
    ]
    return spark.createDataFrame(rows, ops.FILE_COLUMN.struct)


def ledger_rows(spark: SparkSession, items: Sequence[Inspection], run_id: str, started_at: datetime) -> DataFrame:
    """What ops.file_ledger says of the files."""
    rows = []
    for item in items:
        counts = (item.rows_read, item.rows_read - item.rows_broken, item.rows_broken, item.rows_ignored)
        source, path, size_bytes, modified_at = item.delivery.key
        what = (source, path, item.file_id, item.sha256, size_bytes, modified_at, item.status, item.reason)
        when = started_at if started_at.tzinfo else started_at.replace(tzinfo=UTC)
        checks = [(check.rule, check.severity, check.found, check.limit) for check in item.checks]
        rows.append((*what, *(counts if item.status == "loaded" else (0, 0, 0, 0)), run_id, when, checks))
    return spark.createDataFrame(rows, ops.FILE_LEDGER.struct)
