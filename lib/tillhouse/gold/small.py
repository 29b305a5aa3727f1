"""Small dimensions of what receipts name: tills, teams and types of payment; and campaigns."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold
from tillhouse.tables.entities import CAMPAIGN
from tillhouse.tables.gold_members import DIM_CAMPAIGN, DIM_PAYMENT_TYPE, DIM_REGISTER, DIM_TEAM

MIXED = "mixed"  # a receipt with several types of payment
_NAMED = ("kind", "branch_id", "member", "source")


def to_dim_register(named: DataFrame) -> DataFrame:
    """One row per till that a receipt names. ``named``: of ``to_named``."""
    tills = named.where("kind = 'register'").withColumnRenamed("member", "register_id")
    return DIM_REGISTER.conform(
        tills.groupBy("branch_id", "register_id").agg(F.array_sort(F.collect_set("source")).alias("sources"))
    )


def to_dim_team(named: DataFrame) -> DataFrame:
    """One row per team of a branch that a receipt names."""
    return DIM_TEAM.conform(named.where("kind = 'team'").withColumnRenamed("member", "team"))


def to_dim_payment_type(named: DataFrame) -> DataFrame:
    """One row per type of payment of a receipt."""
    types = named.where("kind = 'payment_type'").withColumnRenamed("member", "payment_type")
    return DIM_PAYMENT_TYPE.conform(types.withColumn("is_mixed", F.col("payment_type") == MIXED))


def to_dim_campaign(campaigns: DataFrame) -> DataFrame:
    """One row per campaign of a source. ``campaigns``: silver.campaign."""
    return DIM_CAMPAIGN.conform(campaigns.withColumn("campaign_key", F.col("record_key")))


def to_named(receipts: DataFrame) -> DataFrame:
    """Tills, teams and types of payment that receipts name (kind, branch_id, member, source), each once.

    ``receipts``: gold.fct_receipt. A receipt with several types of payment is of each of them, and mixed.
    """
    several = F.when(F.size("payment_types") > 1, F.array(F.lit(MIXED))).otherwise(F.array().cast("ARRAY<STRING>"))
    types = F.concat("payment_types", several)
    of_branch = F.array(
        _item("register", F.col("branch_id"), F.col("register_id"), F.col("source")),
        _item("team", F.col("branch_id"), F.col("team"), _nothing()),
    )
    of_chain = F.transform(types, lambda name: _item("payment_type", _nothing(), name, _nothing()))
    distinct = receipts.select("branch_id", "register_id", "team", "source", "payment_types").distinct()
    items = distinct.select(F.explode(F.concat(of_branch, of_chain)).alias("item")).select("item.*")
    return items.where("member IS NOT NULL").distinct()


def _item(kind: str, branch: Column, member: Column, source: Column) -> Column:
    values = (F.lit(kind), branch, member, source)
    return F.struct(*(value.alias(name) for name, value in zip(_NAMED, values, strict=True)))


def _nothing() -> Column:
    return F.lit(None).cast("STRING")


def of_receipts(store: Store, receipts: DataFrame, before: DataFrame | None, others: DataFrame) -> dict[Table, DataFrame]:
    """The dimensions of tills, teams and types of payment, where they are others than before.

    ``receipts``: those that are about to be published; ``before``: what is stored of them, None where all are made anew;
    ``others``: the rest of gold.fct_receipt.
    """
    named = to_named(receipts)
    if before is not None:
        named, known = store.keep(named), to_named(before)
        new, gone = named.exceptAll(_stored(store)), known.exceptAll(named)
        if new.union(gone).isEmpty():
            return {}
        named = to_named(receipts.unionByName(others))
    named = store.keep(named)
    return {
        DIM_REGISTER: to_dim_register(named),
        DIM_TEAM: to_dim_team(named),
        DIM_PAYMENT_TYPE: to_dim_payment_type(named),
    }


def campaigns(store: Store, delivered: AbstractSet[str], since: Since | None) -> dict[Table, DataFrame]:
    """The dimension of campaigns, where they may be others than before. ``delivered``: what the sources' records are about."""
    if CAMPAIGN.name in delivered:
        is_new = since is None or store.has_news(CAMPAIGN, since)
        return {DIM_CAMPAIGN: to_dim_campaign(store.read(CAMPAIGN))} if is_new else {}
    was_delivered = since is None and store.version(gold.DIM_CAMPAIGN)[1] > 0
    return {DIM_CAMPAIGN: store.spark.createDataFrame([], DIM_CAMPAIGN.struct)} if was_delivered else {}


def _stored(store: Store) -> DataFrame:
    """What the dimensions hold, in the form of ``to_named``."""
    tills = store.read(gold.DIM_REGISTER).select(
        "branch_id", F.col("register_id").alias("member"), F.explode("sources").alias("source")
    )
    teams = store.read(gold.DIM_TEAM).select("branch_id", F.col("team").alias("member"), _nothing().alias("source"))
    types = store.read(gold.DIM_PAYMENT_TYPE).select(
        _nothing().alias("branch_id"), F.col("payment_type").alias("member"), _nothing().alias("source")
    )
    kinds = {"register": tills, "team": teams, "payment_type": types}
    return union([rows.withColumn("kind", F.lit(kind)) for kind, rows in kinds.items()]).select(*_NAMED)
