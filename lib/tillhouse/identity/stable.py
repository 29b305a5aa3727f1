"""Ids of customers: random, given once, and kept through merges and splits."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def assign(members: DataFrame, claims: DataFrame, fixed: DataFrame) -> DataFrame:
    """The customer of each party (party_key, customer_id).

    ``members`` (party_key, group): who is together now; ``claims`` (party_key, customer_id, is_former, valid_from_run): whose
    they are, or were before they were somebody else's (``is_former``); ``fixed`` (group, customer_id): groups whose customer is
    known, since others than these members are in it.

    An id goes to the group of those who have had it longest (tie: with most of its parties, then with the smallest party_key), so
    that those who were put together and taken apart again have the ids that they had; and a group keeps the oldest of the ids
    that it has won: one that it has now, else one that it had before it was put together with others. A group without one gets a
    random id: whoever reads the result twice has to keep it.
    """
    votes = (
        members.join(claims, on="party_key", how="inner")
        .join(fixed.select("customer_id"), on="customer_id", how="left_anti")
        .groupBy("customer_id", "group")
        .agg(
            F.count(F.lit(1)).alias("_parties"),
            F.min("party_key").alias("_first"),
            F.min(F.struct("is_former", "valid_from_run")).alias("_since"),
        )
    )
    best = Window.partitionBy("customer_id").orderBy("_since", F.col("_parties").desc(), "_first")
    won = votes.withColumn("_rank", F.row_number().over(best)).where("_rank = 1")
    oldest = won.groupBy("group").agg(F.min(F.struct("_since", "customer_id")).alias("_oldest"))
    known = oldest.select("group", F.col("_oldest.customer_id").alias("_kept"))
    random = F.replace(F.expr("uuid()"), F.lit("-"), F.lit(""))
    groups = (
        members.select("group").distinct()
        .join(fixed.select("group", F.col("customer_id").alias("_fixed")), on="group", how="left")
        .join(known, on="group", how="left")
        .select("group", F.coalesce("_fixed", "_kept", random).alias("customer_id"))
    )  # fmt: skip
    return members.join(groups, on="group", how="inner").select("party_key", "customer_id")
