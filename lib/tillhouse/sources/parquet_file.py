"""Parquet files: typed columns become the text that the mapping expects."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.records import Records, unique_names
from tillhouse.sources.typed_values import to_text

MAX_UNPACKED_BYTES = 4 << 30
_BATCH = 1_000


def read_parquet_file(content: bytes, source: Source) -> Records:
    """One record per row; nested values become JSON text.

    Raises:
        SourceError: the file is no Parquet file, or unpacks to more than is read at once.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
        _within_limit(sum(group.total_byte_size for group in groups))
        table = _read(file)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise SourceError(
            f"not readable as Parquet: {reason}. Rule: format is parquet in {source.conf_file}. Remedy: export again."
        ) from None
    names = unique_names(table.column_names)
    columns = [_as_text(column, source) for column in table.columns]
    children = {
        name: [field.name for field in column.type.value_type]
        for name, column in zip(names, table.columns, strict=True)
        if name in source.nested_paths and pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type)
    }
    rows = pa.array(np.arange(1, table.num_rows + 1), pa.int64())
    return Records(pa.table(columns, names=names), rows, children=children)


def _read(file: pq.ParquetFile) -> pa.Table:
    """All rows. A value that is repeated is written once, so that only reading tells how much a file unpacks to."""
    batches, unpacked = [], 0
    for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
        batches.append(batch)
        unpacked += batch.nbytes
        _within_limit(unpacked)
    return pa.Table.from_batches(batches, file.schema_arrow).combine_chunks()


def _within_limit(unpacked: int) -> None:
    if unpacked > MAX_UNPACKED_BYTES:
        raise SourceError(
            f"the file unpacks to {unpacked:,} bytes or more. Rule: at most {MAX_UNPACKED_BYTES:,}. Remedy: export smaller files."
        )


def _as_text(column: pa.ChunkedArray, source: Source) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    return pa.chunked_array([pa.array([to_text(value, source) for value in column.to_pylist()], pa.string())])
