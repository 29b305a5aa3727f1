"""Parties whose keys have changed with the secret of tokens: whose they were, and what was decided about them, stays."""

from __future__ import annotations

from pyspark.sql import functions as F

from tillhouse.frames import column_of
from tillhouse.identity import vault
from tillhouse.store import Store
from tillhouse.tables import silver


def carry_over(store: Store, version: int) -> int:
    """Put the new keys into who is who and into decisions; done twice, it changes nothing. Returns how many parties were found.

    ``version``: of vault.party, with the old keys.
    """
    renamed = store.keep(vault.renamed(store, version))
    customers = store.read(silver.PARTY_CUSTOMER).join(renamed, on="party_key", how="left")
    store.overwrite(silver.PARTY_CUSTOMER, customers.withColumn("party_key", F.coalesce("_new_key", "party_key")))
    rows = store.read(silver.IDENTITY_DECISION).collect()
    named = {key for row in rows for key in (*(row["left_keys"] or ()), *(row["right_keys"] or ()))}
    if named:
        keys = column_of(store.spark, named, "party_key")
        found = renamed.join(F.broadcast(keys), on="party_key", how="left_semi").collect()
        new = {row["party_key"]: row["_new_key"] for row in found}
        decided = [
            row.asDict() | {side: row[side] and [new.get(key, key) for key in row[side]] for side in ("left_keys", "right_keys")}
            for row in rows
        ]
        names = silver.IDENTITY_DECISION.column_names
        values = [tuple(row[name] for name in names) for row in decided]
        store.overwrite(silver.IDENTITY_DECISION, store.spark.createDataFrame(values, silver.IDENTITY_DECISION.struct))
    return renamed.count()
