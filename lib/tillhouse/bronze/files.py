"""What lies in the landing area, and which of it is news. A file is known by its content, not by its name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from tillhouse.errors import ConfigError, SourceError, TillhouseError
from tillhouse.sources.model import Source
from tillhouse.sources.policy import Check, trailer_of
from tillhouse.sources.readers import MAX_FILE_BYTES, ColumnDecision, decide_columns, read_records
from tillhouse.sources.records import decode

UNMATCHED = (
    "no source in conf/sources has a file_pattern for this path. Rule: every file belongs to a source. "
    "Remedy: correct the file_pattern, declare a source, or move the file out of the landing area."
)
TOO_LARGE = f"the file is too large. Rule: at most {MAX_FILE_BYTES >> 20} MiB. Remedy: deliver it in parts."
COLON = "Hadoop cannot open a file with a colon in its name. Rule: no : in names. Remedy: deliver it under another name."
_FACTS = ("path", "length", "modificationTime")
NOT_LOADED = ("rejected", "held", "refused")
DUPLICATE = "the same content has been loaded before; nothing to do"


@dataclass(frozen=True)
class Delivery:
    """One file below the landing area. A control file is of no source, and is no record of the lake."""

    path: str
    uri: str
    size_bytes: int
    modified_at: datetime
    source: Source | None
    captured: dict[str, str]
    is_control: bool = False

    @property
    def key(self) -> tuple[str | None, str, int, datetime]:
        """What decides whether the file has been seen."""
        return self.source.name if self.source else None, self.path, self.size_bytes, self.modified_at


@dataclass(frozen=True)
class Seen:
    """What the ledger says about a file."""

    status: str
    reason: str | None


@dataclass(frozen=True)
class Inspection:
    """What reading a file as a whole has found: its hash, what it holds, or why it is rejected.

    ``stated`` is what its trailer says of it, ``checks`` are the limits of its source that it exceeds. ``hold``: it waits for a
    decision (held), or a person has decided that it stays out (refused).
    """

    delivery: Delivery
    reason: str | None
    sha256: str | None = None
    rows_read: int = 0
    rows_broken: int = 0
    rows_ignored: int = 0
    columns: tuple[ColumnDecision, ...] = ()
    is_duplicate: bool = False
    stated: Mapping[str, str | None] | None = None
    checks: tuple[Check, ...] = ()
    hold: Literal["held", "refused"] | None = None

    @property
    def file_id(self) -> str | None:
        """Identity of the content for its source and what the path says; two branches may send the same empty file."""
        if self.sha256 is None or self.delivery.source is None:
            return None
        text = json.dumps([self.delivery.source.name, self.sha256, sorted(self.delivery.captured.items())])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def status(self) -> str:
        if self.is_duplicate:
            return "duplicate"
        if self.hold:
            return self.hold
        return "rejected" if self.reason else "loaded"


def list_deliveries(spark: SparkSession, landing: str, sources: Sequence[Source]) -> list[Delivery]:
    """All files below the landing area, each with the source whose pattern its path matches.

    Files and folders whose name begins with ``.`` or ``_`` are still being written and left alone, as Hadoop does.

    Raises:
        TillhouseError: the landing area is no folder.
        ConfigError: a path matches two sources.
    """
    file_system, root = _open(spark, landing)
    listed = _binary(spark, [root])
    found = {row["path"]: (row["length"], row["modificationTime"]) for row in listed.select(*_FACTS).collect()}
    for uri in _written(listed.inputFiles()) - found.keys():  # a scan leaves out empty files, which may be failed exports
        found[uri] = 0, _modified_at(spark, file_system, uri)
    deliveries = []
    for uri, (size_bytes, modified_at) in found.items():
        path = uri.removeprefix(root).lstrip("/")
        if any(part.startswith((".", "_")) for part in path.split("/")):
            continue
        if any(source.has_control_at(path) for source in sources):
            deliveries.append(Delivery(path, uri, size_bytes, modified_at, None, {}, is_control=True))
            continue
        matches = [(source, parts) for source in sources if (parts := source.match_path(path)) is not None]
        if len(matches) > 1:
            names = " and ".join(source.conf_file for source, _ in matches)
            raise ConfigError(f"{names}: key 'file_pattern': both match {path}; make the patterns distinct")
        source, captured = matches[0] if matches else (None, {})
        deliveries.append(Delivery(path, uri, size_bytes, modified_at, source, captured))
    return sorted(deliveries, key=lambda delivery: delivery.path)


def _open(spark: SparkSession, landing: str) -> tuple[Any, str]:
    """The landing area's file system, and its path as Hadoop writes it at the beginning of file paths."""
    path = _hadoop_path(spark, landing)
    file_system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    if not file_system.exists(path) or not file_system.getFileStatus(path).isDirectory():
        raise TillhouseError(
            f"landing area {landing}: no such folder. Nothing was changed. "
            "Remedy: create it, or name the right one with --landing, TILLHOUSE_LANDING or landing in conf/lake.yml."
        )
    return file_system, str(file_system.makeQualified(path).toString())


def _hadoop_path(spark: SparkSession, path: str) -> Any:  # noqa: ANN401 - a Java object
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    return jvm.org.apache.hadoop.fs.Path(path)


def _written(uris: Iterable[str]) -> set[str]:
    """Encoded URIs as paths are written elsewhere: file:///a%20b is file:/a b."""
    return {re.sub("^file:/+", "file:/", unquote(uri)) for uri in uris}


def _modified_at(spark: SparkSession, file_system: Any, uri: str) -> datetime:  # noqa: ANN401 - a Java object
    millis = file_system.getFileStatus(_hadoop_path(spark, uri)).getModificationTime()
    return datetime.fromtimestamp(millis // 1000) + timedelta(milliseconds=millis % 1000)  # noqa: DTZ006 - as Spark collects


def _binary(spark: SparkSession, paths: list[str]) -> DataFrame:
    """The files of given paths and below given folders, each once.

    Paths are names and no patterns. Without both options Spark 4.2 gives every other file twice beside one named [1].csv.
    """
    return spark.read.format("binaryFile").options(recursiveFileLookup="true", __globPaths__="false").load(paths)


def news(deliveries: Sequence[Delivery], seen: Mapping[tuple[str | None, str, int, datetime], Seen]) -> list[Delivery]:
    """Deliveries that are new or changed for their source, and those that are not loaded.

    The mapping of a rejected one may have been corrected, and about one that is held somebody may have decided.
    """
    return [
        delivery
        for delivery in deliveries
        if delivery.key not in seen or (delivery.source is not None and seen[delivery.key].status in NOT_LOADED)
    ]


def read_bytes(spark: SparkSession, deliveries: Sequence[Delivery]) -> DataFrame:
    """The deliveries' paths and bytes, spread over the cluster by size."""
    return _binary(spark, [delivery.uri for delivery in deliveries]).select("path", "content")


def inspect(spark: SparkSession, deliveries: Sequence[Delivery]) -> list[Inspection]:
    """Read every file once as a whole: is it complete, decodable, and does it have the columns that the mapping needs?"""
    reasons = {delivery.uri: reason for delivery in deliveries if (reason := _reason_to_leave(delivery))}
    readable = [delivery for delivery in deliveries if delivery.uri not in reasons]
    sources = {delivery.uri: delivery.source for delivery in readable if delivery.source}

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            paths = batch.column("path").to_pylist()
            told = [_judge(content.as_py(), sources[path]) for path, content in zip(paths, batch.column("content"), strict=True)]
            columns = [pa.array(paths, pa.string()), pa.array([json.dumps(item) for item in told], pa.string())]
            yield pa.RecordBatch.from_arrays(columns, names=["path", "told"])

    found = {delivery.uri: _judge(b"", sources[delivery.uri]) for delivery in readable if not delivery.size_bytes}
    filled = [delivery for delivery in readable if delivery.size_bytes]
    if filled:
        rows = read_bytes(spark, filled).mapInArrow(judge, "path STRING, told STRING").collect()
        found |= {row["path"]: json.loads(row["told"]) for row in rows}
    return [
        Inspection(delivery, reasons[delivery.uri]) if delivery.uri in reasons else _inspection(delivery, found[delivery.uri])
        for delivery in deliveries
    ]


def inspect_content(delivery: Delivery, content: bytes) -> Inspection:
    """As ``inspect`` for one file, the bytes of which are at hand."""
    assert delivery.source is not None
    reason = _reason_to_leave(delivery)
    return Inspection(delivery, reason) if reason else _inspection(delivery, _judge(content, delivery.source))


def _reason_to_leave(delivery: Delivery) -> str | None:
    """Why a file is rejected without being read."""
    if delivery.source is None:
        return UNMATCHED
    if delivery.uri.startswith("file:") and ":" in delivery.path.rsplit("/", 1)[-1]:
        return COLON
    return TOO_LARGE if delivery.size_bytes > MAX_FILE_BYTES else None


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _judge(content: bytes, source: Source) -> dict[str, Any]:
    result: dict[str, Any] = {"sha256": sha256(content)}
    try:
        records = read_records(content, source)
    except SourceError as error:
        return result | {"reason": str(error)}
    except Exception as error:  # what no reader has foreseen must not stop the other files
        return result | {
            "reason": f"the reader of {source.format} failed: {type(error).__name__}. Rule: one bad file stops no other. "
            f"Remedy: check format in {source.conf_file}, or export again; if the file is sound, report it to the developers."
        }
    decisions = decide_columns(records, source) if records.columns else []
    trailer = source.quality.trailer if source.quality else None
    if trailer is not None:
        result["stated"] = trailer_of(decode(content, source), trailer, source.csv)
    return result | {
        "reason": None,
        "rows_read": records.rows_read,
        "rows_broken": len(records.broken),
        "rows_ignored": records.ignored,
        "columns": [(d.column, d.decision, d.field) for d in decisions],
    }


def _inspection(delivery: Delivery, found: dict[str, Any]) -> Inspection:
    columns = tuple(ColumnDecision(*decision) for decision in found.pop("columns", ()))
    return Inspection(delivery, columns=columns, **found)


def with_duplicates(inspections: Sequence[Inspection], loaded: set[str]) -> list[Inspection]:
    """Mark what has been loaded before, or twice now, under whatever name."""
    known = set(loaded)
    result = []
    for item in inspections:
        is_duplicate = item.reason is None and item.file_id in known
        result.append(replace(item, is_duplicate=True, reason=DUPLICATE) if is_duplicate else item)
        if item.reason is None and item.file_id is not None:
            known.add(item.file_id)
    return result
