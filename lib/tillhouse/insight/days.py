"""As of which days customers are measured, and which of these days have to be measured again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.insight.customers import PERIODS
from tillhouse.insight.rules import InsightRules, period_starts
from tillhouse.keys import content_hash
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold

ATTRIBUTES = ("customer_type", "age_band", "postal_area", "country", "language")
# Facts of which a change concerns the days after the one in this column: with a change feed, and without.
DATED = {gold.FCT_RECEIPT: "business_date", gold.FCT_RETURN: "business_date"}
RECORDS = {gold.FCT_CONTACT: "contacted_on", gold.FCT_TICKET: "opened_on", gold.FCT_OPEN_ITEM: "issued_on"}


@dataclass(frozen=True)
class Days:
    """``every``: all days as of which customers are measured; ``anew``: those of them that are to be measured again."""

    every: tuple[date, ...]
    anew: tuple[date, ...]

    @property
    def as_of(self) -> date:
        """The present: everything that was delivered lies before it."""
        return self.every[-1]

    @property
    def kept(self) -> date | None:
        """The last day that stays as it is; what is stored after it is replaced."""
        return max((day for day in self.every if day < self.anew[0]), default=None)

    def condition(self, column: str) -> str:
        """SQL over rows that are dated by such a day: those that are replaced."""
        return "true" if self.kept is None else f"{column} > DATE'{self.kept}'"

    def periods(self, store: Store, months: int | None = None) -> DataFrame:
        """The days that are measured again, from the beginning or over so many months before each (PERIODS)."""
        days = store.spark.createDataFrame([(day, None) for day in self.anew], PERIODS)
        return days if months is None else days.withColumn("first_date", F.add_months("as_of", -months))


def of(store: Store, rules: InsightRules, as_of: date | None, since: Since | None) -> Days | None:
    """The days of a lake; None where nothing was sold yet."""
    first, last = store.read(gold.FCT_RECEIPT).agg(F.min("business_date"), F.max("business_date")).collect()[0]
    if last is None:
        return None
    every = period_starts(first, as_of or last + timedelta(days=1), rules.every)
    if since is None or since.again:
        return Days(tuple(every), tuple(every))
    touched = first_touched(store, since)
    measured = {row[0] for row in store.read(gold.CUSTOMER_STATE).select("as_of").distinct().collect()}
    anew = [day for day in every if day not in measured or (touched is not None and day > touched)]
    if not anew and (since.has_changed("as_of") or measured - set(every)):  # what was measured as of a day that is none now goes
        anew = every[-1:]
    anew = [day for day in every if anew and day >= anew[0]]
    return Days(tuple(every), tuple(anew))


def first_touched(store: Store, since: Since) -> date | None:
    """The first day of which something is told otherwise than before; None where nothing is."""
    news = [
        store.touched(table, since, [day]).select(F.col(day).alias("day"))
        for table, day in DATED.items()
        if store.has_news(table, since)
    ]
    news += [_days_told_otherwise(store, since, table, day) for table, day in RECORDS.items() if store.has_news(table, since)]
    if store.has_news(gold.DIM_CUSTOMER, since):
        told = " OR ".join(f"{name} IS NOT NULL" for name in ATTRIBUTES[1:])
        names = ["customer_id", "valid_from", *ATTRIBUTES]
        changed = store.touched(
            gold.DIM_CUSTOMER, since, ["valid_from"], names, where=f"customer_type <> 'B2C' OR {told} OR valid_to IS NOT NULL"
        )
        news.append(changed.select(F.col("valid_from").alias("day")))
    if store.has_news(gold.DIM_PRODUCT, since):
        news.append(_members_told_otherwise(store, since, gold.DIM_PRODUCT, ("category_l1", "product_line")))
    if store.has_news(gold.DIM_BRANCH, since):
        news.append(_members_told_otherwise(store, since, gold.DIM_BRANCH, ("region", "valid_to")))
    found = union(news).agg(F.min("day")).collect()[0][0] if news else None
    return found if isinstance(found, date) else None


def _days_told_otherwise(store: Store, since: Since, table: Table, day: str) -> DataFrame:
    """Days of records that are others than before."""
    names = [name for name in table.column_names if not name.startswith("_")]
    sides = [
        rows.select(F.col(day).alias("day"), content_hash(*names).alias("_hash"))
        for rows in (store.read(table), store.read_before(table, since))
    ]
    by_day = sides[0].unionByName(sides[1]).where("day IS NOT NULL").groupBy("day").agg(F.bit_xor("_hash").alias("_hash"))
    return by_day.where("_hash <> 0").select("day")


def _members_told_otherwise(store: Store, since: Since, table: Table, content: tuple[str, ...]) -> DataFrame:
    """First day of members that were known before and are told otherwise now; a new member is told of by new facts."""
    [key] = table.key
    before = store.read_before(table, since).select(key, F.struct(*content).alias("_before"))
    now = store.read(table).select(key, "valid_from", F.struct(*content).alias("_now"))
    both = now.join(before, on=key, how="inner")
    return both.where(~F.col("_now").eqNullSafe(F.col("_before"))).select(F.col("valid_from").alias("day"))
