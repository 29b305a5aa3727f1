"""Who is who with history: rows of silver.party_customer are ended, never changed into another customer."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.store import Store
from tillhouse.tables import silver

_WHY = ("rule", "score", "evidence")


@dataclass(frozen=True)
class Written:
    """Parties that got their first customer, those that got another one, those that have none any more."""

    new: int = 0
    moved: int = 0
    ended: int = 0

    @property
    def figures(self) -> dict[str, int]:
        return {"parties_new": self.new, "parties_moved": self.moved, "parties_ended": self.ended}


def write(store: Store, rows: DataFrame, looked_at: DataFrame, run_id: str) -> Written:
    """Bring the parties that were looked at to their customers (``rows``: party_key, customer_id, rule, score, evidence).

    A party that stays with its customer keeps its row, with the reason of today; one that moves gets a new row, and the old one
    ends with this run.
    """
    history = store.read(silver.PARTY_CUSTOMER).join(looked_at, on="party_key", how="left_semi")
    old, now = history.where("valid_to_run IS NULL").alias("old"), rows.alias("now")
    both = store.keep(old.join(now, on="party_key", how="full_outer").select("party_key", *_compared()))
    counted = both.groupBy("_state").count().collect()
    count = {row["_state"]: row["count"] for row in counted}
    written = Written(count.get("new", 0), count.get("moved", 0), count.get("ended", 0))
    if not count.keys() - {"same"}:
        return written
    added = both.where("_state IN ('new', 'moved')").select(
        "party_key",
        F.col("_new_customer").alias("customer_id"),
        *(F.col(f"_new_{name}").alias(name) for name in _WHY),
        F.lit(run_id).alias("valid_from_run"),
        F.lit(None).cast("string").alias("valid_to_run"),
    )
    if count.keys() <= {"same", "new"}:
        store.append(silver.PARTY_CUSTOMER, added)
        return written
    is_other = F.col("_state").isin("moved", "ended")
    stays = both.where("_state != 'new'").select(
        "party_key",
        F.col("_old_customer").alias("customer_id"),
        *(F.when(is_other, F.col(f"_old_{name}")).otherwise(F.col(f"_new_{name}")).alias(name) for name in _WHY),
        F.col("_since").alias("valid_from_run"),
        F.when(is_other, F.lit(run_id)).alias("valid_to_run"),
    )
    ended = silver.PARTY_CUSTOMER.conform(history.where("valid_to_run IS NOT NULL"))
    every = store.keep(ended.unionByName(silver.PARTY_CUSTOMER.conform(stays)).unionByName(silver.PARTY_CUSTOMER.conform(added)))
    store.replace_where(silver.PARTY_CUSTOMER, every, looked_at, "true")
    return written


def _compared() -> list[Column]:
    old, now = F.col("old.customer_id"), F.col("now.customer_id")
    is_same_reason = F.lit(True)
    for name in _WHY:
        is_same_reason = is_same_reason & F.col(f"old.{name}").eqNullSafe(F.col(f"now.{name}"))
    state = (
        F.when(old.isNull(), "new").when(now.isNull(), "ended").when(old != now, "moved")
        .when(is_same_reason, "same").otherwise("explained")
    )  # fmt: skip
    return [
        state.alias("_state"), old.alias("_old_customer"), now.alias("_new_customer"),
        F.col("old.valid_from_run").alias("_since"),
        *(F.col(f"{side}.{name}").alias(f"_{kind}_{name}") for side, kind in (("old", "old"), ("now", "new")) for name in _WHY),
    ]  # fmt: skip
