"""What lies in the landing area, and which of it is news. A file is known by its content, not by its name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from tillhouse.errors import SourceError, TillhouseError
from tillhouse.sources.model import Source
from tillhouse.sources.readers import ColumnDecision, decide_columns, read_records


@dataclass(frozen=True)
class Delivery:
    """One file below the landing area."""

    path: str
    uri: str
    size_bytes: int
    modified_at: datetime
    source: Source | None
    captured: dict[str, str]

    def file_id(self, sha256: str) -> str:
        """Identity of the content for its source; two branches may send the same empty file."""
        name = self.source.name if self.source else ""
        text = json.dumps([name, sha256, sorted(self.captured.items())])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Inspection:
    """What reading a file as a whole has found: its hash, what it holds, or why it is rejected."""

    delivery: Delivery
    sha256: str
    rows_read: int
    rows_broken: int
    rows_ignored: int
    columns: tuple[ColumnDecision, ...]
    reason: str | None
    is_duplicate: bool = False

    @property
    def file_id(self) -> str:
        return self.delivery.file_id(self.sha256)

    @property
    def status(self) -> str:
        if self.is_duplicate:
            return "duplicate"
        return "rejected" if self.reason else "loaded"


def list_deliveries(spark: SparkSession, landing: str, sources: Sequence[Source]) -> list[Delivery]:
    """All files below the landing area, each with the source whose pattern its path matches.

    Raises:
        TillhouseError: a path matches two sources, or the landing area cannot be read.
    """
    files = (
        spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(landing)
        .select("path", "length", "modificationTime").collect()
    )  # fmt: skip
    root = _root(spark, landing)
    deliveries = []
    for file in files:
        path = unquote(file["path"].split(root, 1)[1].lstrip("/"))
        if any(part.startswith((".", "_")) for part in path.split("/")):
            continue
        matches = [(source, found) for source in sources if (found := source.match_path(path)) is not None]
        if len(matches) > 1:
            names = " and ".join(source.name for source, _ in matches)
            raise TillhouseError(f"{path} matches file_pattern of {names}; make the patterns in conf/sources distinct")
        source, captured = matches[0] if matches else (None, {})
        deliveries.append(Delivery(path, file["path"], file["length"], file["modificationTime"], source, captured))
    return sorted(deliveries, key=lambda delivery: delivery.path)


def _root(spark: SparkSession, landing: str) -> str:
    """The landing area as Hadoop writes it in file paths, without scheme."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    path = jvm.org.apache.hadoop.fs.Path(landing)
    file_system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    return str(file_system.makeQualified(path).toUri().getRawPath())


def news(deliveries: Iterable[Delivery], known: set[tuple[str, int, datetime]]) -> list[Delivery]:
    """Deliveries whose path, size or change time the ledger has not seen."""
    return [d for d in deliveries if (d.path, d.size_bytes, d.modified_at) not in known]


def read_bytes(spark: SparkSession, deliveries: Sequence[Delivery]) -> DataFrame:
    """The deliveries' paths and bytes, spread over the cluster by size."""
    return spark.read.format("binaryFile").load([delivery.uri for delivery in deliveries]).select("path", "content")


def inspect(spark: SparkSession, deliveries: Sequence[Delivery]) -> list[Inspection]:
    """Read every file once as a whole: is it complete, decodable, and does it have the columns that the mapping needs?"""
    if not deliveries:
        return []
    source_of = {delivery.uri: delivery.source for delivery in deliveries}

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = [
                _judge(content, source_of[path])
                for path, content in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True)
            ]
            yield pa.RecordBatch.from_arrays(
                [batch.column("path"), pa.array([json.dumps(item) for item in found], pa.string())],
                names=["path", "found"],
            )

    rows = read_bytes(spark, deliveries).mapInArrow(judge, "path STRING, found STRING").collect()
    found_of = {row["path"]: json.loads(row["found"]) for row in rows}
    return [_inspection(delivery, found_of[delivery.uri]) for delivery in deliveries]


def _judge(content: pa.Scalar, source: Source | None) -> dict[str, Any]:
    data = content.as_py()
    result: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "read": 0, "broken": 0, "ignored": 0}
    result |= {"columns": [], "reason": None}
    if source is None:
        return result
    try:
        records = read_records(data, source)
    except SourceError as error:
        return result | {"reason": str(error)}
    decisions = decide_columns(records.columns, source) if records.columns else []
    return result | {
        "read": records.rows_read,
        "broken": len(records.broken),
        "ignored": records.ignored,
        "columns": [(d.column, d.decision, d.field) for d in decisions],
    }


def _inspection(delivery: Delivery, found: dict[str, Any]) -> Inspection:
    return Inspection(
        delivery=delivery,
        sha256=found["sha256"],
        rows_read=found["read"],
        rows_broken=found["broken"],
        rows_ignored=found["ignored"],
        columns=tuple(ColumnDecision(*decision) for decision in found["columns"]),
        reason=found["reason"],
    )


def with_duplicates(inspections: Sequence[Inspection], loaded: set[str]) -> list[Inspection]:
    """Mark what has been loaded before, or twice now, under whatever name."""
    seen = set(loaded)
    result = []
    for item in inspections:
        if item.reason is None and item.file_id in seen:
            item = replace(item, is_duplicate=True, reason="the same content has been loaded before; nothing to do")  # noqa: PLW2901
        elif item.reason is None:
            seen.add(item.file_id)
        result.append(item)
    return result
