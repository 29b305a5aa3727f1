"""gold.kpi_conversion: how long it takes from the first contact to a purchase (KPI 16c)."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.insight.figures import day, member, ratio, spread_of_days
from tillhouse.tables.gold_repurchase import KPI_CONVERSION

_BY = ["dimension", "member"]
# Where a record of a day stands whose instant is not known: a contact before, a purchase after what is known of the day.
_FIRST, _AMONG, _LAST = 0, 1, 2


def to_kpi_conversion(contacts: DataFrame, visits: DataFrame, *, as_of: date) -> DataFrame:
    """KPI 16c: first contacts, how many were followed by a purchase, and after how many days, by campaign and channel.

    ``contacts``: gold.fct_contact; ``visits``: see ``insight/buyers.py``, of the same ``as_of``. Those without purchase before
    ``as_of`` are open: they are counted, and have no days.
    """
    told = F.array(
        member("all", F.lit("all")),
        member("kind", F.col("kind")),
        member("channel", F.col("channel")),
        member("campaign", F.concat_ws(": ", "source", "campaign_id")),
    )
    is_told = F.filter(told, lambda of: (of["dimension"] != "campaign") | (F.col("kind") == "campaign"))
    days = to_first_contacts(contacts, visits, as_of=as_of).select("_days", F.inline(is_told))
    counted = days.groupBy(*_BY, "_days").agg(F.count("*").alias("_times"))
    rows = counted.groupBy(*_BY).agg(
        F.sum("_times").alias("contacts"),
        F.sum(F.when(F.col("_days").isNull(), F.col("_times")).otherwise(0)).alias("open"),
        *spread_of_days("days"),
    )
    rows = rows.withColumns({"as_of": day(as_of), "converted": F.col("contacts") - F.col("open")})
    return KPI_CONVERSION.conform(rows.withColumn("conversion_rate", ratio("converted", "contacts")))


def to_first_contacts(contacts: DataFrame, visits: DataFrame, *, as_of: date) -> DataFrame:
    """One row per customer and campaign, or lead: its first contact, and the days to the customer's next purchase (``_days``).

    Only contacts (``is_contact``) of identified customers on a day before ``as_of`` count. A lead is the first contact without
    campaign of a customer who had not bought before. What happened earlier on a day is told by the instants; a purchase on the
    day of a contact follows it where one of the two is not told.
    """
    counted = contacts.where("is_contact AND customer_status = 'identified' AND customer_id IS NOT NULL")
    at = F.struct(
        F.col("contacted_on").alias("day"),
        F.when(F.col("started_at").isNull(), _FIRST).otherwise(_AMONG).alias("place"),
        "started_at",
        F.lit(0).alias("kind"),  # a contact comes before a purchase of the same instant
        F.col("record_key").alias("key"),
    )
    of_campaign = F.when(F.col("campaign_id").isNotNull(), F.col("source")).alias("source")
    firsts = (
        counted.where(F.col("contacted_on") < day(as_of))
        .groupBy("customer_id", of_campaign, "campaign_id")
        .agg(F.min(F.struct(at.alias("at"), "channel")).alias("_first"))
        .select("customer_id", "source", "campaign_id", "_first.*", F.lit(False).alias("is_purchase"))
    )
    purchases = visits.where("is_basket").select(
        "customer_id",
        F.struct(
            F.col("business_date").alias("day"),
            F.when(F.col("started_at").isNull(), _LAST).otherwise(_AMONG).alias("place"),
            "started_at",
            F.lit(1).alias("kind"),
            F.col("receipt_key").alias("key"),
        ).alias("at"),
        F.lit(True).alias("is_purchase"),
    )
    both = firsts.unionByName(purchases, allowMissingColumns=True)
    # Backwards, so that what is looked for lies behind and one pass finds it.
    backwards = Window.partitionBy("customer_id").orderBy(F.col("at").desc()).rowsBetween(Window.unboundedPreceding, 0)
    bought = F.when(F.col("is_purchase"), F.col("at"))
    found = both.withColumns(
        {
            "_next": F.last(bought["day"], ignorenulls=True).over(backwards),
            "_first_purchase": F.min(bought).over(Window.partitionBy("customer_id")),
        }
    ).where("NOT is_purchase")
    is_lead = F.col("campaign_id").isNull()
    known = found.where(~is_lead | F.col("_first_purchase").isNull() | (F.col("at") < F.col("_first_purchase")))
    return known.select(
        "customer_id", "source", "campaign_id", "channel",
        F.when(is_lead, "lead").otherwise("campaign").alias("kind"), F.date_diff("_next", F.col("at.day")).alias("_days"),
    )  # fmt: skip
