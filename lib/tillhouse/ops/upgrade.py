"""Brings a lake that an older release has made forward to the contracts of this one. Killed in the middle, it is run again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql.types import StructField

from tillhouse.config import Config
from tillhouse.errors import TillhouseError
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import new_run_id, tell, utc_now
from tillhouse.store import Store, Stored, refuse_other_versions
from tillhouse.tables import Table, gold, ops, silver
from tillhouse.tables.lake import tables_of

# What bronze cannot tell again: what was delivered, who is who, and what people have decided.
KEPT_SCHEMAS = ("bronze", "ops", "vault")
KEPT = (
    silver.PARTY, silver.PARTY_CUSTOMER, silver.IDENTITY_DECISION, silver.IDENTITY_REVIEW, silver.EXCEPTION, gold.CLOSED_PERIOD,
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What has to be done to a table. ``obstacles`` are differences that its rows cannot just be kept with."""

    table: Table
    stored: Stored
    columns: tuple[StructField, ...]
    obstacles: tuple[str, ...]

    @property
    def makes_recompute(self) -> bool:
        """Whether rows are missing something that only the steps can fill in, or past changes cannot be told."""
        starts_feed = self.table.change_feed and self.stored.properties.get("delta.enableChangeDataFeed") != "true"
        return bool(self.columns or self.obstacles or starts_feed)

    def __str__(self) -> str:
        if self.obstacles:
            done = f"made anew ({'; '.join(self.obstacles)}); the next run fills it"
        elif self.columns:
            done = f"columns added: {', '.join(field.name for field in self.columns)}"
        else:
            done = "properties set"
        return f"{self.table.full_name} {self.stored.contract_version} -> {self.table.version}: {done}"


def upgrade(store: Store, config: Config) -> list[str]:
    """Bring every table from its version of the contract to this release's; returns what was done, nothing if there was nothing.

    Comments, which tell readers what a column holds, become those of this release in any case. Tables that the steps can make
    again from bronze are emptied where their rows cannot be kept. Where the steps have to work
    again, the watermarks go first: until the last table is done a run refuses, afterwards it recomputes.

    Raises:
        ConfigError: the lake was made by a newer release; nothing was changed.
        LeaseError: a run is working on the lake.
        TillhouseError: a table that has to be kept differs in a way that needs a migration of its own; nothing was changed.
    """
    expect_lake(store)
    with Lease.take(store, f"upgrade-{new_run_id(utc_now())}"):
        return _upgrade(store, tables_of(config.sources))


def expect_lake(store: Store) -> None:
    """Raises TillhouseError if there is no lake yet."""
    if not store.exists(ops.RUN_STEP):
        raise TillhouseError(f"{store.lake} holds no lake yet; start with `tillhouse run` or scripts/demo")


def _upgrade(store: Store, tables: Iterable[Table]) -> list[str]:
    found = {table: stored for table in tables if (stored := store.stored(table)) is not None}
    newer = {table: stored.contract_version for table, stored in found.items() if stored.contract_version > table.version}
    refuse_other_versions(newer)
    changes = [to_change(table, stored) for table, stored in found.items() if stored.contract_version < table.version]
    stuck = [change for change in changes if change.obstacles and _is_kept(change.table)]
    if stuck:
        faults = "; ".join(f"{change.table.full_name}: {', '.join(change.obstacles)}" for change in stuck)
        raise TillhouseError(
            f"tables that cannot be made again from bronze have changed: {faults}. Nothing was changed. "
            "Remedy: write a migration for them (ops/upgrade.py)."
        )
    if any(change.makes_recompute for change in changes) and ops.WATERMARK in found:
        store.overwrite(ops.WATERMARK, store.spark.createDataFrame([], ops.WATERMARK.struct))
    for change in changes:
        if change.obstacles:
            store.make_anew(change.table)
        elif change.columns:
            store.add_columns(change.table, change.columns)
        store.set_properties(change.table, change.table.properties)  # the version among them, so this ends it
        tell("table upgraded", table=change.table.full_name, change=str(change))
    texts = {table.full_name: store.set_comments(table) for table in found}
    return [
        *(str(change) for change in changes),
        *(f"{name} comments: {number} as in the contract" for name, number in texts.items() if number),
    ]


def to_change(table: Table, stored: Stored) -> Change:
    """The difference between a table on disk and its contract."""
    there = {field.name: field for field in stored.struct}
    missing = tuple(field for field in table.struct if field.name not in there)
    obstacles = [f"column {field.name} may not be empty" for field in missing if not field.nullable]
    for field in table.struct:
        old = there.get(field.name, field)
        if old.dataType.simpleString() != field.dataType.simpleString():
            obstacles.append(f"column {field.name} was {old.dataType.simpleString()}")
        elif old.nullable != field.nullable:
            obstacles.append(f"column {field.name} {'could' if old.nullable else 'could not'} be empty")
    gone = [] if table.open_ended else [name for name in there if name not in table.column_names]
    obstacles += [f"column {name} is gone" for name in gone]
    if stored.partition_by != table.partition_by:
        obstacles.append(f"partitioned by {', '.join(stored.partition_by) or 'nothing'}")
    return Change(table, stored, missing, tuple(obstacles))


def _is_kept(table: Table) -> bool:
    return table.schema in KEPT_SCHEMAS or table in KEPT
