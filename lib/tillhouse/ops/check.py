"""Try a mapping on one file without a lake: the layers' own code, on tables in memory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from tillhouse.bronze import controls, files, ingest
from tillhouse.bronze.files import Delivery, Inspection
from tillhouse.config import Config
from tillhouse.errors import ConfigError
from tillhouse.gold import facts
from tillhouse.ops import gate
from tillhouse.ops.memory_store import MemoryStore
from tillhouse.products.rules import ProductRules
from tillhouse.silver import step
from tillhouse.silver.products import CATEGORY_UNKNOWN
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records
from tillhouse.tables import Table, ops, silver
from tillhouse.tables.bronze import bronze_table

RUN_ID = "check"
NO_CURRENCY = "XXX"  # ISO 4217: no currency is involved
BRANCH_UNKNOWN = "branch_unknown"
NEEDS_MASTER_DATA = (CATEGORY_UNKNOWN,)  # of other sources, which a check does not have
_AT = datetime(2000, 1, 1, tzinfo=UTC)  # of files and run: nothing that is shown depends on it

Bronze = Mapping[Table, pa.Table]


@dataclass(frozen=True)
class Checked:
    """What a first run would make of a file: what reading it found, the rows of silver by table, and what is wrong.

    ``counting`` are the keys of the receipts that become facts. ``held``: why the file would wait for somebody's decision.
    """

    source: Source
    inspection: Inspection
    tables: Mapping[Table, pa.Table] = field(default_factory=dict)
    exceptions: Sequence[dict[str, Any]] = ()
    counting: frozenset[str] = frozenset()
    notes: Sequence[str] = ()
    held: str | None = None

    def table(self, table: Table) -> pa.Table:
        """The rows of a table of silver; one that was not written has neither rows nor columns."""
        return self.tables.get(table, pa.table({}))

    def values(self, table: Table, column: str) -> list[Any]:
        rows = self.table(table)
        return list(rows[column].to_pylist()) if rows.num_rows else []

    @property
    def accepted(self) -> int:
        """Lines of receipts, or records of master data, that count."""
        if self.source.entity == "receipt":
            return sum(self.values(silver.RECEIPT_VERSION, "line_count"))
        return sum(rows.num_rows for rows in self.records.values())

    @property
    def records(self) -> dict[Table, pa.Table]:
        """What the file tells, where it is no receipts."""
        judgements = (silver.EXCEPTION.name, "_version")
        kept = {table: rows for table, rows in self.tables.items() if not table.name.endswith(judgements)}
        own = {table: _of_source(rows, self.source) for table, rows in kept.items()}
        return {table: rows for table, rows in own.items() if rows.num_rows}


def inspect(source: Source, file: Path, path: str | None = None) -> tuple[Inspection, bytes]:
    """What reading the file as a whole finds, and its bytes.

    ``path`` is where below the landing area the file would be delivered; without it, its own path tells.

    Raises:
        ConfigError: the file cannot be opened, or its path is none of the source.
    """
    content = _read(file)
    found = files.inspect_content(_delivery(source, file, len(content), path), content)
    control = controls.control_path(found)
    if control is None:
        return found, content
    beside = file.resolve().as_posix().removesuffix(found.delivery.path)
    stated = Path(beside, control)
    return replace(found, stated=controls.stated_in(_read(stated) if stated.is_file() else None, source)), content


def check(spark: SparkSession, config: Config, inspection: Inspection, content: bytes, branches: Path | None = None) -> Checked:
    """What a first run would make of a file that can be read.

    Master data of branches is that of the landing area, or of the file ``branches``; without any, every branch that the file
    names counts as known.

    Raises:
        ConfigError: ``branches`` cannot be opened, or no source of conf could read it.
    """
    source = inspection.delivery.source
    assert source is not None
    masters, notes = ([], []) if source.entity == "branch" else _masters(config, branches)
    bronze = _read_all([(inspection, content), *masters])
    judged = _judged(spark, inspection, bronze)
    items = [judged, *(item for item, _ in masters)]
    store = _trial(spark, config, items, bronze)
    if source.entity == "receipt" and not masters:
        known = sorted(item["branch_id"] for item in _exceptions(store, source) if item["rule"] == BRANCH_UNKNOWN)
        store = _trial(spark, config, items, bronze, list(dict.fromkeys(known)))
        notes.append(
            "no master data of branches was found: every branch that the file names counts as known, in the mapping's zone or "
            f"UTC, with currency {NO_CURRENCY} where the mapping names none. Deliver master data, or name a file with --branches."
        )
    written = {table: rows for table, rows in store.written.items() if table.schema == "silver"}
    valid = store.read(silver.RECEIPT).where(facts.VALID).select("receipt_key").collect()
    counting = frozenset(row[0] for row in valid)
    held = gate.with_hold(judged, {}).reason
    return Checked(source, judged, written, _exceptions(store, source), counting, notes, held)


def _judged(spark: SparkSession, item: Inspection, bronze: Bronze) -> Inspection:
    """The inspection with the limits of its source that the file exceeds."""
    source = item.delivery.source
    assert source is not None
    if source.quality is None:
        return item
    store = _with_bronze(spark, bronze)
    facts = gate.to_facts(store, source, [item], store.read(bronze_table(source.name, source.personal_data)))
    return replace(item, checks=tuple(gate.exceeded(source, item, facts[item.delivery.path])))


def _trial(
    spark: SparkSession, config: Config, items: Sequence[Inspection], bronze: Bronze, branches: Sequence[str] = ()
) -> MemoryStore:
    """Silver as a first run makes it. Tokens are made with a key that nobody keeps."""
    store = _with_bronze(spark, bronze)
    store.overwrite(ops.FILE_LEDGER, ingest.ledger_rows(spark, items, RUN_ID, _AT))
    if branches:
        store.overwrite(silver.BRANCH, spark.createDataFrame(_assumed(branches, items[0]), silver.BRANCH.struct))
    declared, key = _sources_of(items), secrets.token_bytes(32)
    step.run(
        store, declared, rules=ProductRules(), token_key=key, run_id=RUN_ID, seen_at=_AT, since=None, duties=config.duties
    )  # fmt: skip
    return store


def _read_all(loaded: Sequence[tuple[Inspection, bytes]]) -> Bronze:
    """The bronze tables of the files' sources that have rows."""
    bronze = {}
    for source in _sources_of([item for item, _ in loaded]):
        delivered = [(item, content) for item, content in loaded if item.delivery.source is source]
        names = ingest.names_of([item for item, _ in delivered])
        rows = [ingest.with_lineage(read_records(content, source), item, RUN_ID, names) for item, content in delivered]
        bronze[bronze_table(source.name, source.personal_data)] = pa.concat_tables(rows)
    return {table: rows for table, rows in bronze.items() if rows.num_rows}


def _sources_of(items: Sequence[Inspection]) -> list[Source]:
    return list({item.delivery.source.name: item.delivery.source for item in items if item.delivery.source}.values())


def _with_bronze(spark: SparkSession, bronze: Bronze) -> MemoryStore:
    store = MemoryStore(spark)
    for table, rows in bronze.items():
        store.overwrite(table, spark.createDataFrame(rows))
    return store


def _assumed(branches: Sequence[str], inspection: Inspection) -> list[tuple[object, ...]]:
    """Master data of branches of which none was delivered."""
    source = inspection.delivery.source
    assert source is not None
    zone = "UTC" if source.timezone == "branch" else source.timezone
    told = {"time_zone": zone, "currency": NO_CURRENCY, "day_start": "00:00", "_row": 0}
    return [
        tuple(
            branch if column.name == "branch_id" else told.get(column.name, None if column.nullable else "assumed")
            for column in silver.BRANCH.struct
        )
        for branch in branches
    ]


def _exceptions(store: MemoryStore, source: Source) -> list[dict[str, Any]]:
    """What is wrong with the source's records; ``context`` as its parts."""
    found = _of_source(store.written[silver.EXCEPTION], source).to_pylist()
    found = [row for row in found if row["rule"] not in NEEDS_MASTER_DATA]
    ordered = sorted(found, key=lambda row: (row["rule"], row["record_key"]))
    return [row | {"context": json.loads(row["context"])} for row in ordered]


def _of_source(rows: pa.Table, source: Source) -> pa.Table:
    """The rows of one source, where the table tells sources apart."""
    if "source" not in rows.column_names:
        return rows
    return rows.filter(pc.equal(rows["source"], source.name))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None


def _delivery(source: Source, file: Path, size: int, path: str | None = None) -> Delivery:
    """The file as if it had been delivered.

    Raises:
        ConfigError: neither ``path`` nor any end of the file's own path matches the source's pattern.
    """
    parts = file.resolve().parts[1:]
    paths = [path] if path else ["/".join(parts[start:]) for start in range(len(parts))]
    found = [(name, captured) for name in paths if (captured := source.match_path(name)) is not None]
    if not found:
        raise ConfigError(
            f"{path or file}: does not match file_pattern {source.file_pattern!r} of {source.conf_file}. Remedy: correct the "
            "pattern, or say with --as PATH where below the landing area such a file will lie."
        )
    name, captured = found[0]
    return Delivery(name, file.resolve().as_uri(), size, _AT.replace(tzinfo=None), source, captured)


def _masters(config: Config, branches: Path | None) -> tuple[list[tuple[Inspection, bytes]], list[str]]:
    """The files of branches' master data that can be read, and why others cannot."""
    masters, notes = [], []
    for file, delivery in _named_master(config, branches) if branches else _delivered_masters(config):
        content = _read(file)
        inspection = files.inspect_content(delivery, content)
        if inspection.reason:
            notes.append(f"master data {file} is left out: {inspection.reason}")
        else:
            masters.append((inspection, content))
    return masters, notes


def _delivered_masters(config: Config) -> list[tuple[Path, Delivery]]:
    """Files of branches' master data in a landing area that is a folder of this machine."""
    landing = Path(config.landing)
    paths = sorted(path for path in landing.rglob("*") if path.is_file()) if landing.is_dir() else []
    return [
        (path, _delivery(source, path, path.stat().st_size, name))
        for path in paths
        for source in config.sources_of("branch")
        if source.match_path(name := path.relative_to(landing).as_posix()) is not None
    ]


def _named_master(config: Config, file: Path) -> list[tuple[Path, Delivery]]:
    """The file as one of the source of branches whose pattern it matches, or of the only one."""
    sources = config.sources_of("branch")
    if not sources:
        raise ConfigError(f"{file}: conf/sources has no source with entity: branch that could read it; add one")
    for source in sources:
        try:
            return [(file, _delivery(source, file, 0))]
        except ConfigError:
            if len(sources) == 1:
                return [(file, Delivery(file.name, file.resolve().as_uri(), 0, _AT.replace(tzinfo=None), source, {}))]
    raise ConfigError(f"{file}: matches the file_pattern of none of {', '.join(source.conf_file for source in sources)}")
