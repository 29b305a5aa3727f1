"""Surrogate keys and keyed tokens: how records are named across tables."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

BEGINNING = date(1900, 1, 1)  # first day of what holds since ever


def surrogate_key(*natural: Column | str) -> Column:
    """128-bit hash of the natural key as one text."""
    return F.md5(as_one_text(*natural))


def as_one_text(*columns: Column | str) -> Column:
    """Values with their lengths before them; NULL differs from empty, and ('a', 'bc') from ('ab', 'c')."""
    texts = [(F.col(column) if isinstance(column, str) else column).cast("string") for column in columns]
    return F.concat(*(F.coalesce(F.concat(F.length(text).cast("string"), F.lit(":"), text), F.lit("-")) for text in texts))


def content_hash(*columns: str) -> Column:
    """64-bit hash of a row's values. Spark's own skips NULL, so that a value could move to the next column unseen."""
    return hash_of([in_sql(column) for column in columns])


def hash_of(values: Sequence[str]) -> Column:
    """``content_hash`` of SQL expressions; a map cannot be hashed, its text can.

    One text is one call to the JVM; columns would be one for each step of each.
    """
    return F.expr(f"xxhash64({', '.join(values)}, {', '.join(f'{value} IS NULL' for value in values)})")


def in_sql(column: str) -> str:
    """The name of a column, or of a field of one, in SQL."""
    return ".".join(f"`{part}`" for part in column.split("."))


def token(kind: str, value: str, key: bytes) -> str:
    """Keyed token of a personal identifier: HMAC-SHA256, so that nobody without the key can try out card numbers."""
    return hmac.new(key, f"{kind}\x00{value}".encode(), hashlib.sha256).hexdigest()[:32]


def with_tokens(
    rows: DataFrame, columns: Mapping[str, str], key: bytes, readings: Mapping[str, Callable[[str], str | None]] | None = None
) -> DataFrame:
    """Add ``<column>_token`` for each clear-text column; ``columns`` maps a column to the kind of its identifier.

    A column of several texts gets several tokens. ``readings`` bring texts of a kind into the form that the token is made of;
    what has none has no token. Python computes the hash, because the key would be readable in the query plan of an SQL
    expression.
    """
    kept = list(rows.schema)
    several = {field.name for field in kept if isinstance(field.dataType, ArrayType)}
    added = "".join(f", `{column}_token` {'ARRAY<STRING>' if column in several else 'STRING'}" for column in columns)
    schema = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in kept) + added
    read = readings or {}

    def tokenise(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known: dict[tuple[str, str], str | None] = {}

        def cached(kind: str, value: str | None) -> str | None:
            if value is None:
                return None
            if (kind, value) not in known:
                text = read[kind](value) if kind in read else value
                known[kind, value] = None if text is None else token(kind, text, key)
            return known[kind, value]

        for batch in batches:
            arrays = [batch.column(field.name) for field in kept]
            for column, kind in columns.items():
                values = batch.column(column).to_pylist()
                if column in several:
                    tokens = [None if texts is None else [cached(kind, text) for text in texts] for texts in values]
                    arrays.append(pa.array(tokens, pa.list_(pa.string())))
                else:
                    arrays.append(pa.array([cached(kind, value) for value in values], pa.string()))
            names = [field.name for field in kept] + [f"{column}_token" for column in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=names)

    return rows.mapInArrow(tokenise, schema)
