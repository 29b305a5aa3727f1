"""Who is who, in its smallest true form: the same card is the same customer."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.store import Store
from tillhouse.tables import silver
from tillhouse.tables.silver import PARTY_CUSTOMER

RULE = "card_number"


def run(store: Store, run_id: str) -> dict[str, int]:
    """Give every party without a customer the customer of its card, and a card never seen a new one."""
    parties, known = store.read(silver.PARTY), store.read(silver.PARTY_CUSTOMER)
    new = store.keep(assign(parties, known, run_id))
    count = new.count()
    if count:
        store.append(silver.PARTY_CUSTOMER, new)
    return {"parties_new": count}


def assign(parties: DataFrame, known: DataFrame, run_id: str) -> DataFrame:
    """Rows to add to silver.party_customer. The id is random, given once, and never derived from the card."""
    valid = known.where("valid_to_run IS NULL").select("party_key", "customer_id")
    unassigned = parties.join(valid, on="party_key", how="left_anti").where("card_token IS NOT NULL")
    of_card = parties.join(valid, on="party_key", how="inner").groupBy("card_token").agg(F.min("customer_id").alias("_given"))
    fresh = (
        unassigned.select("card_token").distinct()
        .join(of_card, on="card_token", how="left")
        .select("card_token", F.coalesce("_given", F.replace(F.expr("uuid()"), F.lit("-"), F.lit(""))).alias("customer_id"))
    )  # fmt: skip
    assigned = unassigned.join(fresh, on="card_token", how="inner")
    return PARTY_CUSTOMER.conform(
        assigned.select(
            "party_key",
            "customer_id",
            F.lit(RULE).alias("rule"),
            F.lit(None).cast("double").alias("score"),
            F.to_json(F.struct(F.col("card_token"))).alias("evidence"),
            F.lit(run_id).alias("valid_from_run"),
            F.lit(None).cast("string").alias("valid_to_run"),
        )
    )
