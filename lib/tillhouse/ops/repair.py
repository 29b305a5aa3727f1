"""Sets aside the damaged files that the logs of tables end in, so that the next run can make again what they told."""

from __future__ import annotations

from tillhouse.config import Config
from tillhouse.errors import StoreError
from tillhouse.faults import can_do_without, find_damage
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import new_run_id, tell, utc_now
from tillhouse.store import Store, damages
from tillhouse.tables import Table, ops
from tillhouse.tables.lake import tables_of


def repair(store: Store, config: Config) -> list[str]:
    """Bring each table whose log is damaged back to its last sound commit; returns what was done, nothing if nothing is damaged.

    What steps have worked through is forgotten first, so that the next run makes everything again from bronze, and bronze from
    the landing area where a table of it has lost rows. Killed in the middle, it is run again.

    Raises:
        LeaseError: a run is working on the lake.
        StoreError: a checkpoint is damaged that stands for commits which are gone; nothing was changed.
    """
    tables = tables_of(config.sources)
    found = damages(tables, store.lake, store.vault)
    if not found:
        return []
    with store.told(), Lease.take(store, f"repair-{new_run_id(utc_now())}"):
        stuck = [f"{table.full_name}: {damage}" for table, damage in found.items() if not can_do_without(damage)]
        if stuck:
            raise StoreError(
                f"checkpoints are damaged and the commits before them are gone: {'; '.join(stuck)}. Nothing was changed. Remedy: "
                "bring the table's folder back from a backup; or remove it, where the table is one that a run makes from bronze."
            )
        done = _set_aside(store, ops.WATERMARK)
        if store.exists(ops.WATERMARK):
            store.overwrite(ops.WATERMARK, store.spark.createDataFrame([], ops.WATERMARK.struct))
        return done + [text for table in tables for text in _set_aside(store, table)]


def _set_aside(store: Store, table: Table) -> list[str]:
    """Until the log is sound: a machine that stopped may have torn the last two commits."""
    done = []
    while (damage := find_damage(store.path(table))) is not None:
        damage.set_aside()
        tell("damaged file set aside", table=table.full_name, file=damage.file.name)
        done.append(f"{table.full_name}: {damage}; set aside")
    return done
