"""Another secret for tokens: every token and party_key changes, customers keep their ids, decisions stay.

What was personal stands in the vault, so nothing but that and bronze is needed. ``rotate`` sets the parties aside; the next
run, under the new key, makes everything anew and gives each party its old customer. Killed in between, either is run again.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Row

from tillhouse.config import Config, fingerprint
from tillhouse.errors import ConfigError
from tillhouse.keys import token
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import new_run_id, tell, utc_now
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store
from tillhouse.tables import ops, silver, vault

STEP = "rotate-key"  # of ops.watermark
KEY = "token key"  # part of conf that silver depends on
_BEGUN, _READY = "begun", "ready"


def check_of(key: bytes) -> str:
    """What tells two keys apart without telling either."""
    return fingerprint(token("check", "of the key", key))


def rotate(store: Store, config: Config) -> int:
    """Prepare a lake for the key that is given now; returns how many parties it concerns.

    Raises:
        ConfigError: the key is that of the lake already.
        LeaseError: a run is working on the lake.
    """
    expect_lake(store)
    with Lease.take(store, f"{STEP}-{new_run_id(utc_now())}"):
        marks = {(row["step"], row["upstream"]): row for row in store.read(ops.WATERMARK).collect()}
        of_lake = marks.get(("silver", f"conf: {KEY}"))
        begun = marks.get((STEP, vault.PARTY.full_name))
        if begun is None and of_lake is not None and of_lake["fingerprint"] == check_of(config.token_key()):
            raise ConfigError("the token key is that of the lake; name the new one in TILLHOUSE_TOKEN_KEY_FILE, and keep the old")
        table_id, version = store.version(vault.PARTY)
        version = version if begun is None else begun["version"]
        _mark(store, table_id, version, _BEGUN)
        for table in (vault.PARTY, silver.PARTY):
            store.overwrite(table, store.read(table).where("false"))
        _mark(store, table_id, version, _READY)
        count = store.read_version(vault.PARTY, version).count()
        tell("token key will be changed", parties=count)
        return count


def _mark(store: Store, table_id: str, version: int, state: str) -> None:
    """The only watermark that is left: the next run has no other and makes everything anew."""
    row = (STEP, vault.PARTY.full_name, vault.PARTY.full_name, table_id, version, state)
    store.overwrite(ops.WATERMARK, store.spark.createDataFrame([row], ops.WATERMARK.struct))


def refuse_other_key(watermarks: Sequence[Row], config: Config) -> None:
    """A run under another key would take every known card for a new customer. ``watermarks``: ops.watermark.

    Raises:
        ConfigError: the key is not that of the lake and no change is prepared, or its preparation was stopped.
    """
    marks = [row for row in watermarks if row["step"] == STEP or row["upstream"] == f"conf: {KEY}"]
    states = {row["fingerprint"] for row in marks if row["step"] == STEP}
    if _BEGUN in states:
        raise ConfigError("a change of the token key was begun and stopped. Remedy: run `tillhouse rotate-key` again.")
    others = [row for row in marks if row["step"] != STEP and row["fingerprint"] != check_of(config.token_key())]
    if others and not states:
        raise ConfigError(
            "the token key is not the one that the lake was made with: every known card would be a new customer. Remedy: name "
            "the old key again, or run `tillhouse rotate-key` first."
        )


def pending(store: Store) -> int | None:
    """The version of vault.party whose keys are those of the old key; None if no change is prepared."""
    rows = store.read(ops.WATERMARK).where(f"step = '{STEP}' AND fingerprint = '{_READY}'").collect()
    return rows[0]["version"] if rows else None
