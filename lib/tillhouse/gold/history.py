"""Members of dimensions with history: their versions, the one that held on a day, and facts whose version is another now."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.keys import BEGINNING, surrogate_key
from tillhouse.products.lookup import holds_on
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, silver
from tillhouse.tables.contract import MONTH

RECEIPT_DAY = ("receipt_key", "business_date")


@dataclass(frozen=True)
class Member:
    """A kind of member: its versions in silver, and the facts that carry its id and key."""

    name: str
    versions: Table
    facts: Table

    @property
    def id(self) -> str:
        return f"{self.name}_id"

    @property
    def key(self) -> str:
        return f"{self.name}_key"


BRANCH = Member("branch", silver.BRANCH_VERSION, gold.FCT_RECEIPT)
PRODUCT = Member("product", silver.PRODUCT_VERSION, gold.FCT_SALE_LINE)
CUSTOMER = Member("customer", silver.CUSTOMER_VERSION, gold.FCT_RECEIPT)


def member_key(natural: str) -> Column:
    """Surrogate key of a dimension's member valid since ever."""
    return surrogate_key(natural, F.lit(BEGINNING))


def with_validity(versions: DataFrame, member: Member) -> DataFrame:
    """Versions (``valid_from``) with their key, and until when they hold: a version ends where the next one begins."""
    following = F.lead("valid_from").over(Window.partitionBy(member.id).orderBy("valid_from"))
    ended = versions.withColumns({member.key: surrogate_key(member.id, "valid_from"), "valid_to": following})
    return ended.withColumn("is_current", F.col("valid_to").isNull())


def with_version_key(facts: DataFrame, versions: DataFrame, member: Member) -> DataFrame:
    """Facts with the key of the version that holds on their trading day, NULL where there is no such member.

    ``versions``: id, key, ``valid_from`` and ``valid_to`` of each; there is one for each day, so that each fact stays one row.
    """
    named = versions.select(
        F.col(member.id).alias("_member"), member.key, F.col("valid_from").alias("_from"), F.col("valid_to").alias("_to")
    )
    holds = holds_on(F.col("business_date"), F.col("_from"), F.col("_to"))
    joined = facts.join(F.broadcast(named), on=(F.col(member.id) == F.col("_member")) & holds, how="left")
    return joined.drop("_member", "_from", "_to")


def touched(store: Store, member: Member, since: Since) -> list[DataFrame]:
    """Receipts (``RECEIPT_DAY``) with a fact whose version is no longer the one that holds on its day.

    Only facts of members are looked at of which a version has begun or gone since then, from its first day on.
    """
    if not store.has_news(member.versions, since):
        return []
    begun_or_gone = store.touched(member.versions, since, [member.id, "valid_from"], [member.id, "valid_from"])
    since_day = (
        begun_or_gone.where(F.col("valid_from") > F.lit(BEGINNING)).groupBy(member.id).agg(F.min("valid_from").alias("_first"))
    )
    since_day = store.keep(since_day)
    first = since_day.agg(F.min("_first")).collect()[0][0]
    if first is None:
        return []
    later = store.read(member.facts).where(f"{MONTH} >= '{first:%Y-%m}' AND business_date >= DATE'{first}'")
    concerned = later.join(F.broadcast(since_day), on=member.id, how="inner").where("business_date >= _first")
    versions = store.read(member.versions).join(F.broadcast(since_day), on=member.id, how="left_semi")
    return [to_outdated(concerned, with_validity(versions, member), member)]


def to_outdated(facts: DataFrame, versions: DataFrame, member: Member) -> DataFrame:
    """Receipts of facts with another key than the version has that holds on their day; without any version it is the first's."""
    known = facts.select(*RECEIPT_DAY, member.id, F.col(member.key).alias("_known"))
    valid = with_version_key(known, versions, member).withColumn(member.key, F.coalesce(member.key, member_key(member.id)))
    return valid.where(F.col("_known") != F.col(member.key)).select(*RECEIPT_DAY)
