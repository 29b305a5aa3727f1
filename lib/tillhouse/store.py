"""The only module that reads and writes Delta. Every write is one commit and idempotent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType
from pyspark.storagelevel import StorageLevel

from tillhouse.errors import ConfigError, ContractError, StoreError, TillhouseError
from tillhouse.faults import Damage, find_damage, to_store_error
from tillhouse.frames import IS_LITTLE
from tillhouse.keys import content_hash, hash_of, in_sql
from tillhouse.tables import Table
from tillhouse.tables.contract import MONTH, NO_MONTH, VERSION_PROPERTY

SMALL_FILE = 64 * 1024 * 1024
FULL_FILE = 256 * 1024 * 1024
SEVERAL = 4  # small files in a partition that are worth a commit
LITTLE = 50_000  # rows
LARGE = 16 * 1024 * 1024  # bytes of a table
FOR_LITTLE = {
    IS_LITTLE: "true",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}


_Content = tuple[int, int | None, int | None]
_NOTHING: _Content = (0, None, None)


@dataclass(frozen=True)
class Stored:
    """A table as it lies on disk."""

    struct: StructType
    partition_by: tuple[str, ...]
    properties: Mapping[str, str]
    grain: str | None = None

    @property
    def contract_version(self) -> int:
        """Version of the contract that the table was made by."""
        return int(self.properties.get(VERSION_PROPERTY, "1"))


@dataclass(frozen=True)
class Since:
    """What a step's tables reflect already.

    ``versions`` are those of the tables that it reads and has made, ``changed_parts`` the parts of conf that have changed since,
    ``as_of`` the date of the last run. ``again`` (SQL over branch_id and business_date) is to be worked on whether it has
    changed or not.
    """

    versions: Mapping[str, int]
    changed_parts: frozenset[str]
    as_of: date | None = None
    again: str | None = None

    def version(self, table: Table) -> int:
        return self.versions[table.full_name]

    def has_changed(self, part: str) -> bool:
        return part in self.changed_parts


class Store:
    """The tables of one lake: each is a Delta folder ``<root>/<schema>/<table>``; personal ones lie under the vault root.

    ``before_commit`` is called with a table's name before each commit: the lease is checked there, and tests stop a run there.
    """

    def __init__(self, spark: SparkSession, lake: str, vault: str) -> None:
        self.spark = spark
        self.lake = _absolute(lake)
        self.vault = _absolute(vault)
        self.before_commit: Callable[[str], None] = lambda table: None
        self._versions: dict[Table, tuple[str, int]] | None = None
        self._usual = {name: str(spark.conf.get(name)) for name in FOR_LITTLE if name != IS_LITTLE}
        self._usual[IS_LITTLE] = str(spark.conf.get(IS_LITTLE, "false"))
        self._is_little = False
        is_local = str(spark.sparkContext.master).startswith("local")
        self._level = StorageLevel.MEMORY_AND_DISK if is_local else StorageLevel.MEMORY_AND_DISK_2

    def path(self, table: Table) -> str:
        """Folder of the table. A table of schema ``vault`` or with personal data lies under the vault root."""
        return table_path(table, self.lake, self.vault)

    def exists(self, table: Table) -> bool:
        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    @contextmanager
    def told(self, table: Table | None = None) -> Iterator[None]:
        """Say it clearly where the disk is to blame for an error.

        Raises:
            StoreError: there is no space left, or no permission to write.
        """
        try:
            yield
        except TillhouseError:
            raise
        except Exception as error:
            what = "the lake" if table is None else table.full_name
            found = to_store_error(error, what, (self.lake, self.vault) if table is None else [self.path(table)])
            if found is None:
                raise
            raise found from error

    def refuse_damaged(self, tables: Iterable[Table]) -> None:
        """Nothing is read or written where the log of a table ends in a damaged file: commits would be missed in silence.

        Raises:
            StoreError: with table, file and remedy.
        """
        found = damages(tables, self.lake, self.vault)
        if found:
            texts = "; ".join(f"{table.full_name}: {damage}" for table, damage in found.items())
            raise StoreError(
                f"the log of a table ends in a damaged file: {texts}. Nothing was changed. Remedy: `tillhouse repair`, which "
                "sets the file aside, then `tillhouse run`, which makes again what it told (docs/operations.md)."
            )

    def create_missing(self, tables: Iterable[Table]) -> None:
        """Create what does not exist yet, so that every public table can be read from the first run on.

        Raises:
            ConfigError: a table was made by another version of its contract; nothing is created then.
        """
        snapshots = {table: self._snapshot(table) for table in tables}
        missing = [table for table, snapshot in snapshots.items() if snapshot.version() < 0]
        refuse_other_versions(
            {table: _contract_version(snapshot) for table, snapshot in snapshots.items() if table not in missing}
        )
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(self._create, missing))

    def _create(self, table: Table) -> None:
        self._begin_commit(table)
        with self.told(table):
            self._remove_unfinished(table)
            self._build(table)

    def _remove_unfinished(self, table: Table) -> None:
        """A kill before a table's first commit leaves an empty log, which Delta takes for a table and then cannot find."""
        folder, files = self._folder(self.path(table))
        if not files.exists(folder):
            return
        found = files.listFiles(folder, True)
        while found.hasNext():
            if not str(found.next().getPath().getName()).startswith("."):
                return
        files.delete(folder, True)

    def _build(self, table: Table) -> None:
        builder = (
            DeltaTable.createIfNotExists(self.spark).location(self.path(table)).addColumns(table.struct).comment(table.grain)
        )
        for name, value in table.properties.items():
            builder = builder.property(name, value)
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        builder.execute()

    def read(self, table: Table) -> DataFrame:
        return self.spark.read.format("delta").load(self.path(table))

    def read_before(self, table: Table, since: Since) -> DataFrame:
        """The table as it was then; it can be read as long as its changes since then can."""
        return self.read_version(table, since.version(table))

    def left_by(self, table: Table, since: Since) -> DataFrame:
        """The table as the last run has left it; one that was killed may have written more."""
        return self.read_before(table, since) if self.has_news(table, since) else self.read(table)

    def read_version(self, table: Table, version: int) -> DataFrame:
        """The table as it was in a version, as long as time travel reaches it."""
        return self.spark.read.format("delta").option("versionAsOf", version).load(self.path(table))

    def version(self, table: Table) -> tuple[str, int]:
        """Delta id and newest version of a table, from the log alone."""
        if self._versions is not None and table in self._versions:
            return self._versions[table]
        snapshot = self._snapshot(table)
        found = str(snapshot.metadata().id()), int(snapshot.version())
        if self._versions is not None:
            self._versions[table] = found
        return found

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else may write: the version of a table is asked of its log once after each commit of this store."""
        self._versions = {}
        try:
            yield
        finally:
            self._versions = None

    def _begin_commit(self, table: Table) -> None:
        self.before_commit(table.full_name)
        if self._versions is not None:
            self._versions.pop(table, None)

    def contract_version(self, table: Table) -> int:
        """Version of the contract that the table on disk was made by."""
        return _contract_version(self._snapshot(table))

    def stored(self, table: Table) -> Stored | None:
        """The table as it lies on disk; None where it does not exist."""
        snapshot = self._snapshot(table)
        if snapshot.version() < 0:
            return None
        metadata = snapshot.metadata()
        jvm = self.spark.sparkContext._jvm
        assert jvm is not None
        properties = dict(jvm.scala.jdk.javaapi.CollectionConverters.asJava(metadata.configuration()))
        partition_by = tuple(jvm.scala.jdk.javaapi.CollectionConverters.asJava(metadata.partitionColumns()))
        struct = StructType.fromJson(json.loads(metadata.schemaString()))
        return Stored(struct, partition_by, properties, metadata.description())

    def make_anew(self, table: Table) -> None:
        """Empty a table and give it the columns and the layout of its contract, in one commit; older versions stay readable."""
        partition_by = f" PARTITIONED BY ({', '.join(table.partition_by)})" if table.partition_by else ""
        self._begin_commit(table)
        self.spark.sql(  # the builder's createOrReplace refuses other columns for a table without a catalogue
            f"REPLACE TABLE {self._quoted(table)} ({table.struct.toDDL()}) USING DELTA{partition_by} "
            f"COMMENT {_literal(table.grain)} TBLPROPERTIES ({_assignments(table.properties)})"
        )

    def add_columns(self, table: Table, fields: Sequence[StructField]) -> None:
        """Add columns at the end of a table; existing rows have none of them."""
        self._begin_commit(table)
        self.spark.sql(f"ALTER TABLE {self._quoted(table)} ADD COLUMNS ({StructType(list(fields)).toDDL()})")

    def set_properties(self, table: Table, properties: Mapping[str, str]) -> bool:
        """Give a table properties, in one commit; where it has them there is none. Returns whether something was written."""
        stored = self.stored(table)
        assert stored is not None
        if all(stored.properties.get(name) == value for name, value in properties.items()):
            return False
        self._begin_commit(table)
        self.spark.sql(f"ALTER TABLE {self._quoted(table)} SET TBLPROPERTIES ({_assignments(properties)})")
        return True

    def set_comments(self, table: Table) -> int:
        """Give a table and its columns the texts of its contract; returns how many differed. No row is touched."""
        stored = self.stored(table)
        assert stored is not None
        there = {field.name: field.metadata.get("comment") for field in stored.struct}
        wanted = {field.name: field.metadata.get("comment") for field in table.struct if field.name in there}
        texts = [f"{name} COMMENT {_literal(text or '')}" for name, text in wanted.items() if (there[name] or "") != (text or "")]
        if not texts and stored.grain == table.grain:
            return 0
        self._begin_commit(table)
        if texts:
            self.spark.sql(f"ALTER TABLE {self._quoted(table)} ALTER COLUMN {', '.join(texts)}")
        if stored.grain != table.grain:
            self.spark.sql(f"COMMENT ON TABLE {self._quoted(table)} IS {_literal(table.grain)}")
        return len(texts) + (stored.grain != table.grain)

    def _quoted(self, table: Table) -> str:
        return f"delta.`{self.path(table).replace('`', '``')}`"

    def file_count(self, table: Table) -> int:
        """Number of data files of the newest version."""
        return int(self._snapshot(table).numOfFiles())

    def compact(self, table: Table, several: int = SEVERAL) -> None:
        """Join the small files of each partition that has several; without one there is no commit.

        No row changes, and the change feed tells nothing of it.
        """
        snapshot = self._snapshot(table)
        if snapshot.numOfFiles() < several:
            return
        files = DataFrame(snapshot.allFiles().toDF(), self.spark).where(F.col("size") < SMALL_FILE)
        names = table.partition_by
        counted = files.groupBy(*(F.col("partitionValues")[name].alias(name) for name in names)).count()
        partitions = counted.where(F.col("count") >= several).collect()
        if not partitions:
            return
        optimize = DeltaTable.forPath(self.spark, self.path(table)).optimize()
        if names:
            optimize = optimize.where(
                " OR ".join(" AND ".join(f"{name} <=> {_literal(row[name])}" for name in names) for row in partitions)
            )
        self._begin_commit(table)
        optimizing = "spark.databricks.delta.optimize"
        with self._settings({f"{optimizing}.minFileSize": SMALL_FILE, f"{optimizing}.maxFileSize": FULL_FILE}):
            optimize.executeCompaction()

    def vacuum(self, table: Table, days: int) -> int:
        """Delete the files that no version of the last ``days`` needs; returns how many there were.

        What killed writers have left is among them. There is no commit.
        """
        before = self._files_in_folder(table)
        if before == self.file_count(table):
            return 0
        self._begin_commit(table)
        settings: dict[str, str | int] = {
            "spark.databricks.delta.vacuum.logging.enabled": "false",
            # Listing starts that many tasks, 10,000 if nothing is said: 40 s for a table of four files.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": self.spark.sparkContext.defaultParallelism,
        }
        with self._settings(settings):
            DeltaTable.forPath(self.spark, self.path(table)).vacuum(days * 24)
        return before - self._files_in_folder(table)

    def _files_in_folder(self, table: Table) -> int:
        """Number of files below the table's folder, without its log."""
        folder, files = self._folder(self.path(table))
        log, _ = self._folder(f"{self.path(table)}/_delta_log")
        return int(files.getContentSummary(folder).getFileCount() - files.getContentSummary(log).getFileCount())

    def committed_at(self, table: Table, version: int) -> datetime | None:
        """When a version was committed; None where the log no longer has it."""
        commit, files = self._folder(f"{self.path(table)}/_delta_log/{version:020d}.json")
        if not files.exists(commit):
            return None
        return datetime.fromtimestamp(files.getFileStatus(commit).getModificationTime() / 1000, UTC)

    def _folder(self, path: str) -> tuple[Any, Any]:
        jvm = self.spark.sparkContext._jvm
        assert jvm is not None
        folder = jvm.org.apache.hadoop.fs.Path(path)
        return folder, folder.getFileSystem(self.spark._jsparkSession.sessionState().newHadoopConf())

    @contextmanager
    def _settings(self, settings: Mapping[str, str | int]) -> Iterator[None]:
        """Settings that can be given to the session only; afterwards they are what they were."""
        before = {name: self.spark.conf.get(name, None) for name in settings}
        for name, value in settings.items():
            self.spark.conf.set(name, str(value))
        try:
            yield
        finally:
            for name, old in before.items():
                if old is None:
                    self.spark.conf.unset(name)
                else:
                    self.spark.conf.set(name, old)

    def _is_large(self, table: Table) -> bool:
        return int(self._snapshot(table).sizeInBytes()) >= LARGE

    def _snapshot(self, table: Table) -> Any:  # noqa: ANN401 - a JVM object
        jvm = self.spark.sparkContext._jvm
        assert jvm is not None
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(table))
        return log.update(False, jvm.scala.Option.empty(), jvm.scala.Option.empty())

    def can_read_changes(self, table: Table, since: int, now: int) -> bool:
        """Whether every commit after version ``since`` is still in the log with the rows that it changed."""
        if since == now:
            return True
        return since < now and self.committed_at(table, since + 1) is not None

    def has_news(self, table: Table, since: Since) -> bool:
        """Whether anything was committed to the table since then."""
        return self.version(table)[1] > since.version(table)

    def is_as_left(self, table: Table, since: Since | None) -> bool:
        """Whether the table is what it was then; a version that is not known is none."""
        return since is not None and since.versions.get(table.full_name) == self.version(table)[1]

    def row_count(self, table: Table) -> int:
        """Number of rows; a table into which nothing has been written has none, and need not be read."""
        return self.read(table).count() if self.version(table)[1] else 0

    def changes(self, table: Table, since: Since) -> DataFrame:
        """Every row that commits since then have written or removed, with ``_is_new``: written. ``has_news`` comes first."""
        feed = (
            self.spark.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingVersion", since.version(table) + 1)
            .load(self.path(table))
        )
        return feed.withColumn("_is_new", F.col("_change_type").isin("insert", "update_postimage"))

    def touched(
        self, table: Table, since: Since, keys: Sequence[str], content: Sequence[str] = (), *, where: str = "true"
    ) -> DataFrame:
        """Distinct ``keys`` of the rows (those that fulfil ``where``) that differ from what they were then.

        A commit that replaces a range reports every row of it; rows that were removed and written again with the same
        ``content`` (all columns that are not technical) cancel out, so that content is to be there once.
        """
        names = content or [name for name in table.column_names if not name.startswith("_") or name == MONTH]
        hashed = self.changes(table, since).where(where).select(*keys, hash_of(_hashable(table, names)).alias("_hash"))
        grouped = hashed.groupBy(*keys).agg(F.bit_xor("_hash").alias("_hash"))
        return grouped.where("_hash <> 0").select(*keys)

    def register(self, *tables: Table) -> None:
        """Make tables known to the session's catalogue by their location; the lake stays the truth."""
        for schema in {table.schema for table in tables}:
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for table in tables:
            self.spark.sql(f"DROP TABLE IF EXISTS {table.full_name}")
            self.spark.sql(f"CREATE TABLE {table.full_name} USING DELTA LOCATION '{self.path(table)}'")

    def keep(self, rows: DataFrame) -> DataFrame:
        """Compute rows once that several queries need, and forget how they were computed, so that planning stays cheap.

        They live as long as the frame does. A cluster holds them twice, so that it may lose a worker.
        """
        return rows.localCheckpoint(eager=True, storageLevel=self._level)

    def expect(self, rows: int | None, *searched: Table) -> None:
        """Tell how much a step is about to work on; None: as much as there is. ``searched``: in which tables it looks for rows.

        Generating and compiling code for a query costs more than it saves on few rows, and so does planning it anew between its
        stages: there Spark interprets one plan. Few rows that are to be found in a large table are much to read.
        """
        self._is_little = rows is not None and rows < LITTLE and not any(self._is_large(table) for table in searched)
        for name, value in (FOR_LITTLE if self._is_little else self._usual).items():
            self.spark.conf.set(name, value)

    def append(self, table: Table, rows: DataFrame) -> None:
        """Add rows. The caller makes sure that a repetition after a kill does not add them twice."""
        self._write(table, table.conform(rows), mode="append")

    def remove(self, table: Table, predicate: str) -> None:
        """Remove the rows that fulfil a predicate, in one commit."""
        self._write(table, self.read(table).where("false"), mode="overwrite", replaceWhere=predicate)

    def overwrite(self, table: Table, rows: DataFrame, where: str | None = None, *, is_news: bool = False) -> bool:
        """Replace the whole content, or the rows that fulfil ``where``, in one commit; without a difference there is none.

        ``is_news``: the caller knows that there is a difference. Readers see the old rows or the new ones. Returns whether
        something was written.
        """
        if not is_news and self.version(table)[1] > 0:
            stored = self.read(table)
            stored = stored.where(where) if where else stored
            rows = self.keep(table.conform(rows))
            old, new = self._contents(table, stored, rows)
            if old == new:
                return False
        options = {"replaceWhere": where} if where else {}
        self._write(table, table.conform(rows), mode="overwrite", **options)
        return True

    def replace(self, table: Table, rows: DataFrame, touched: DataFrame, dates: Sequence[date | None]) -> bool:
        """Replace the rows of the touched keys (all columns of ``touched``) by ``rows`` in one commit.

        ``dates`` are the trading days on which these keys lie or lay; nothing else is read. Where nothing lay, rows are added;
        where nothing differs, there is no commit. ``rows`` are read twice: keep them. Returns whether something was written.
        """
        return self.replace_where(table, rows, touched, on_days(dates, table))

    def replace_where(self, table: Table, rows: DataFrame, touched: DataFrame, where: str) -> bool:
        """As ``replace``, for touched keys that lie within ``where`` (SQL over the table)."""
        rows = table.conform(rows)
        keys = touched.columns
        stored = self.read(table).where(where)
        old, new = self._contents(table, stored.join(touched, on=keys, how="left_semi"), rows)
        if old == new:
            return False
        if old[0] == 0:
            self._write(table, rows, mode="append")
            return True
        others = stored.join(touched, on=keys, how="left_anti")
        self._write(table, table.conform(others).unionByName(rows), mode="overwrite", replaceWhere=where)
        return True

    def _contents(self, table: Table, old: DataFrame, new: DataFrame) -> tuple[_Content, _Content]:
        """Number of rows and a hash of all of them, independent of their order and that of columns, before and after.

        Where a step works on little, the key of the new rows is counted on the way; what writes much looks at its keys itself.

        Raises:
            ContractError: two of the new rows have the same key.
        """
        hashed = [
            rows.select(
                F.lit(side).alias("_side"),
                hash_of(_hashable(table, [name for name in table.column_names if name in rows.columns])).alias("_hash"),
                (content_hash(*table.key) if side and self._is_little else F.lit(None).cast("bigint")).alias("_key"),
            )
            for side, rows in enumerate((old, new))
        ]
        low, high = F.col("_hash").bitwiseAND(0xFFFFFFFF), F.shiftrightunsigned("_hash", 32)
        keys = F.size(F.collect_set("_key")) if self._is_little else F.lit(None)
        counted = hashed[0].union(hashed[1]).groupBy("_side").agg(F.count("*"), F.sum(low), F.sum(high), keys).collect()
        found: dict[int, _Content] = {row[0]: (row[1], row[2], row[3]) for row in counted}
        repeated = [row[1] - row[4] for row in counted if row[0] == 1 and self._is_little and row[1] != row[4]]
        if repeated:
            raise ContractError(
                f"{table.full_name}: {repeated[0]:,} of {found[1][0]:,} rows repeat a key ({', '.join(table.key)}); nothing was "
                f"written. The table builder must give one row per key (tables/{table.schema}.py)."
            )
        return found.get(0, _NOTHING), found.get(1, _NOTHING)

    def _write(self, table: Table, rows: DataFrame, mode: str, **options: str) -> None:
        if table.open_ended:
            options["mergeSchema"] = "true"
        if table.partition_by:
            rows = rows.repartition(*table.partition_by)
        if table.sort_by:
            rows = rows.sortWithinPartitions(*table.partition_by, *table.sort_by)
        self._begin_commit(table)
        with self.told(table):
            rows.write.format("delta").mode(mode).options(**options).save(self.path(table))


def _absolute(root: str) -> str:
    """A root as Delta takes it: a relative path would be the name of a table to its catalogue."""
    text = root.rstrip("/")
    return text if ":" in text else str(Path(text).absolute())


def table_path(table: Table, lake: str, vault: str) -> str:
    """Folder of a table of a lake. One of schema ``vault`` or with personal data lies under the vault root."""
    root = vault if table.schema == "vault" or table.personal else lake
    return f"{root.rstrip('/')}/{table.schema}/{table.name}"


def damages(tables: Iterable[Table], lake: str, vault: str) -> dict[Table, Damage]:
    """The tables whose log ends in a damaged file. Needs no session; finds nothing on an object store, which tears no file."""
    found = {table: find_damage(table_path(table, lake, vault)) for table in tables}
    return {table: damage for table, damage in found.items() if damage is not None}


def refuse_other_versions(found: Mapping[Table, int]) -> None:
    """Whether tables were made by the contracts of this release; ``found``: the version that each was made by.

    Raises:
        ConfigError: a table is older or newer.
    """
    newer = sorted(table.full_name for table, version in found.items() if version > table.version)
    if newer:
        raise ConfigError(f"the lake was made by a newer tillhouse: {', '.join(newer)}. Remedy: install that release here too.")
    older = sorted(table.full_name for table, version in found.items() if version < table.version)
    if older:
        raise ConfigError(
            f"the lake was made by an older tillhouse: {', '.join(older)}. Remedy: run `tillhouse upgrade` (jobs/upgrade.py), "
            "once, before the next run."
        )


def _contract_version(snapshot: Any) -> int:  # noqa: ANN401 - an object of the JVM
    found = snapshot.metadata().configuration().get(VERSION_PROPERTY)
    return int(found.get()) if found.isDefined() else 1


def _assignments(properties: Mapping[str, str]) -> str:
    return ", ".join(f"{_literal(name)} = {_literal(value)}" for name, value in properties.items())


def _literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def on_days(dates: Iterable[date | None], table: Table) -> str:
    """SQL predicate over a table's trading day and partition. None stands for records without a trading day."""
    given = set(dates)
    known = sorted(day for day in given if day is not None)
    months = ", ".join(sorted({f"'{day:%Y-%m}'" for day in known}))
    days = ", ".join(f"DATE'{day}'" for day in known)
    has_months = MONTH in table.partition_by
    parts = []
    if known:
        parts.append(f"({MONTH} IN ({months}) AND business_date IN ({days}))" if has_months else f"business_date IN ({days})")
    if None in given:
        parts.append(f"{MONTH} = '{NO_MONTH}'" if has_months else "business_date IS NULL")
    return " OR ".join(parts) or "false"


def on_months(dates: Iterable[date], reach: timedelta) -> str:
    """SQL predicate over a table's partition: the months of these days and of those that lie within ``reach`` of them."""
    apart = range(-reach.days, reach.days + 1)
    months = {f"{day + timedelta(days=days):%Y-%m}" for day in set(dates) for days in apart}
    return f"{MONTH} IN ({quoted(months)})" if months else "false"


def quoted(names: Iterable[str]) -> str:
    """Texts as a list of SQL literals."""
    return ", ".join(_literal(name) for name in sorted(names))


def _hashable(table: Table, names: Iterable[str]) -> list[str]:
    """SQL of columns that can be hashed; a map is hashed as text."""
    kinds = {field.name: field.dataType.typeName() for field in table.struct}
    return [f"to_json({in_sql(name)})" if kinds[name] == "map" else in_sql(name) for name in names]
