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


def read_parquet_file(content: bytes, source: Source) -> Records:
    """One record per row; nested values become JSON text.

    Raises:
        SourceError: the file is no Parquet file, or unpacks to more than is read at once.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
        unpacked = sum(group.total_byte_size for group in groups)
        if unpacked > MAX_UNPACKED_BYTES:
            raise SourceError(
                f"the file unpacks to {unpacked:,} bytes. Rule: at most {MAX_UNPACKED_BYTES:,}. Remedy: export smaller files."
            )
        table = file.read()
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


def _as_text(column: pa.ChunkedArray, source: Source) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        return column
    return pa.chunked_array([pa.array([to_text(value, source) for value in column.to_pylist()], pa.string())])
