"""Control files: what a system states in a file of its own about what another file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyspark.sql import SparkSession

from tillhouse.bronze.files import Delivery, Inspection, read_bytes
from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.policy import control_of
from tillhouse.sources.records import decode

Stated = Mapping[str, str | None]


def with_controls(spark: SparkSession, inspections: Sequence[Inspection], controls: Mapping[str, Delivery]) -> list[Inspection]:
    """The inspections with what their control files state; one that has not come yet states nothing.

    ``controls``: the control files of the landing area by path.
    """
    wanted = {item.delivery.path: path for item in inspections if (path := control_path(item)) is not None}
    there = [controls[path] for path in sorted(set(wanted.values()) & controls.keys()) if controls[path].size_bytes]
    rows = read_bytes(spark, there).collect() if there else []
    contents = {delivery.path: row["content"] for delivery in there for row in rows if row["path"] == delivery.uri}
    return [
        replace(item, stated=stated_in(contents.get(wanted[item.delivery.path]), item.delivery.source))
        if item.delivery.path in wanted and item.delivery.source is not None
        else item
        for item in inspections
    ]


def control_path(item: Inspection) -> str | None:
    """Where the control file of a file lies; None where its source has none."""
    source = item.delivery.source
    if item.reason is not None or source is None or source.quality is None or source.quality.control_file is None:
        return None
    return source.quality.control_file.path_for(item.delivery.captured)


def stated_in(content: bytes | None, source: Source) -> Stated:
    """What a control file states; without it, or where it cannot be read, nothing of what it should state."""
    assert source.quality is not None
    assert source.quality.control_file is not None
    try:
        text = decode(content or b"", source)
    except SourceError:
        text = ""
    return control_of(text, source.quality.control_file, source.csv)
