"""Looks for clear text in a folder of Delta tables: every Parquet value decoded, every other file as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def clear_text_in(folder: Path, values: Sequence[str], only_logs: bool = False) -> list[str]:
    """Files below ``folder`` that hold one of the values anywhere; a byte search over compressed files would prove nothing."""
    pattern = re.compile("|".join(re.escape(value) for value in values))
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        is_log = "_delta_log" in path.parts
        if only_logs and not is_log:
            continue
        if path.suffix == ".parquet":
            hit = any(pattern.search(text) for text in _texts(pq.read_table(path, partitioning=None)))
        else:
            hit = bool(pattern.search(path.read_bytes().decode("latin-1")))
        if hit or pattern.search(str(path.relative_to(folder))):
            found.append(str(path.relative_to(folder)))
    return found


def _texts(table: pa.Table) -> Iterable[str]:
    for column in table.columns:
        for value in pa.chunked_array(column).unique().to_pylist() if _is_flat(column.type) else column.to_pylist():
            if value is not None:
                yield str(value)


def _is_flat(kind: pa.DataType) -> bool:
    return not pa.types.is_nested(kind)
