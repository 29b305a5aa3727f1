"""Customers as BI sees them: their versions, and receipts with the version that holds on their day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union, without_repeats
from tillhouse.gold.dimensions import day_before_year, of_receipts, to_dim_customer
from tillhouse.gold.history import CUSTOMER, member_key, to_outdated, with_validity, with_version_key
from tillhouse.keys import BEGINNING
from tillhouse.store import Since, Store
from tillhouse.tables import gold, silver

AGE_BANDS = (18, 25, 35, 45, 55, 65)  # the first age of each band but the youngest; an age is that reached in a calendar year
ATTRIBUTES = ("customer_type", "company_id", "age_band", "postal_area", "country", "language")
_BY_CUSTOMER = "is_basket AND customer_id IS NOT NULL"


@dataclass(frozen=True)
class Receipts:
    """gold.fct_receipt: those that are about to be published, what the last run has left of them, and the others, which stay.

    ``before`` is None where all are made anew.
    """

    now: DataFrame
    before: DataFrame | None
    others: DataFrame


@dataclass(frozen=True)
class Members:
    """Rows of dim_customer: those of the customers ``concerned`` (customer_id), or all where it is None."""

    rows: DataFrame
    concerned: DataFrame | None

    def write(self, store: Store) -> None:
        """Write what differs."""
        if self.concerned is None:
            store.overwrite(gold.DIM_CUSTOMER, self.rows)
        else:
            store.replace_where(gold.DIM_CUSTOMER, self.rows, self.concerned, "true")


@dataclass(frozen=True)
class Customers:
    """What gold knows of customers. ``versions``: of those that a contact tells of, None where no contact tells of anybody.

    ``years``: first and last trading year of all valid receipts, and as they were when gold was made last (``years_before``).
    """

    store: Store
    versions: DataFrame | None
    years: tuple[int, int] | None = None
    years_before: tuple[int, int] | None = None

    @classmethod
    def of(cls, store: Store, valid: DataFrame, as_of: date | None, since: Since | None) -> Customers:
        """As they are told before ``as_of``, with None as they are told last. ``valid``: all valid receipts of silver."""
        if store.version(silver.CUSTOMER_VERSION)[1] <= 0:
            return cls(store, None)
        years = before = None if since is None else _years(store.read(gold.DIM_DATE), "date")
        if since is None or since.has_changed("as_of") or store.has_news(silver.RECEIPT, since):
            years = _years(valid, "business_date")
        versions = to_versions(store.read(silver.CUSTOMER_VERSION), years, as_of)
        return cls(store, store.keep(versions), years, before)

    def touched(self, since: Since) -> list[DataFrame]:
        """Receipts (``RECEIPT_DAY``) whose stored version of the customer is no longer the one that holds on their day.

        Looked at are those of customers whose history has changed, and of all where age bands begin in other years now.
        """
        if self.versions is None:
            return []
        receipts = self.store.read(gold.FCT_RECEIPT).where("customer_id IS NOT NULL")
        if self.years == self.years_before:
            if not self.store.has_news(silver.CUSTOMER_VERSION, since):
                return []
            changed = self.store.keep(self.store.touched(silver.CUSTOMER_VERSION, since, ["customer_id"]))
            receipts = receipts.join(F.broadcast(changed), on="customer_id", how="left_semi")
        return [to_outdated(receipts, only_later(self.versions), CUSTOMER)]

    def has_news(self, since: Since) -> bool:
        """Whether dim_customer may differ from what it was, beside what receipts tell, or is not as the last run has left it."""
        tables = (silver.PARTY_CUSTOMER, silver.CUSTOMER_VERSION, gold.DIM_CUSTOMER)
        return since.has_changed("as_of") or any(self.store.has_news(table, since) for table in tables)

    def members(self, receipts: Receipts, as_of: date | None, since: Since | None) -> Members:
        """Rows of dim_customer: every customer that there is, with or without a receipt.

        Made anew are those that may differ from what the last run has left; where one that was killed has written more, all.
        """
        valid = self.store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL").select("customer_id").distinct()
        every = receipts.now.unionByName(receipts.others)
        is_left = self.store.is_as_left(gold.DIM_CUSTOMER, since) and self.years == self.years_before
        if since is None or receipts.before is None or not is_left:
            return Members(self.store.keep(to_dim_customer(valid, of_receipts(every), self.versions)), None)
        last, concerned = self._concerned(receipts, as_of, since)

        def of_them(rows: DataFrame) -> DataFrame:
            return rows.join(F.broadcast(concerned), on="customer_id", how="left_semi")

        versions = None if self.versions is None else of_them(self.versions)
        rows = to_dim_customer(of_them(valid), of_receipts(of_them(every), last), versions)
        return Members(self.store.keep(rows), concerned)

    def _concerned(self, receipts: Receipts, as_of: date | None, since: Since) -> tuple[date | None, DataFrame]:
        """The last day on which any customer has bought, and the customers whose rows may be others than they were.

        That are those of receipts that have changed, those who are others or of whom something else is told, and those with
        purchases that have left, or entered, the 12 months that count for home branches.
        """
        assert receipts.before is not None
        store = self.store
        stored = store.left_by(gold.FCT_RECEIPT, since)
        sides = {"before": stored, "now": receipts.now, "others": receipts.others}
        days = [
            rows.where(_BY_CUSTOMER).agg(F.lit(side).alias("side"), F.max("business_date").alias("last"))
            for side, rows in sides.items()
        ]
        found = {row["side"]: row["last"] for row in union(days).collect()}
        before, last = found["before"], max(filter(None, (found["now"], found["others"])), default=None)
        concerned = [rows.where("customer_id IS NOT NULL").select("customer_id") for rows in (receipts.before, receipts.now)]
        if before is not None and last is not None and before != last:
            bounds = [day_before_year(F.lit(day)) for day in sorted((before, last))]
            moved = (F.col("business_date") > bounds[0]) & (F.col("business_date") <= bounds[1])
            concerned.append(receipts.others.where(_BY_CUSTOMER).where(moved).select("customer_id"))
        if store.has_news(silver.PARTY_CUSTOMER, since):
            content = ["party_key", "customer_id", "valid_to_run"]
            concerned.append(store.touched(silver.PARTY_CUSTOMER, since, ["customer_id"], content))
        if self.versions is not None:
            if store.has_news(silver.CUSTOMER_VERSION, since):
                concerned.append(store.touched(silver.CUSTOMER_VERSION, since, ["customer_id"]))
            if since.has_changed("as_of"):
                first = min(day for day in (since.as_of, as_of) if day is not None)
                history = store.read(silver.CUSTOMER_VERSION).where(F.col("valid_from") >= F.lit(first))
                concerned.append(history.select("customer_id"))
        return last, store.keep(union(concerned).distinct())


def _years(rows: DataFrame, day: str) -> tuple[int, int] | None:
    first, last = rows.agg(F.year(F.min(day)), F.year(F.max(day))).collect()[0]
    return None if first is None else (first, last)


def to_versions(history: DataFrame, years: tuple[int, int] | None, as_of: date | None = None) -> DataFrame:
    """One row per customer and version, with its key and the days on which it begins and ends.

    ``history``: silver.customer_version; what begins on ``as_of`` or later is not known yet. Another age band begins on
    January 1 of the year in which its first age is reached, if that is one of the trading ``years``.
    """
    known = history if as_of is None else history.where(F.col("valid_from") < F.lit(as_of))
    order = Window.partitionBy("customer_id").orderBy("valid_from")
    if years is None:
        aged = known.withColumn("age_band", F.lit(None).cast("string"))
    else:
        held = known.withColumn("_ends_on", F.lead("valid_from").over(order))
        days = held.withColumn("valid_from", F.explode(F.concat(F.array("valid_from"), _new_bands(*years))))
        age = F.greatest(F.year("valid_from"), F.lit(years[0])) - F.col("birth_year")
        aged = days.withColumn("age_band", age_band(age))
    versions = without_repeats(aged, "customer_id", "valid_from", ATTRIBUTES)
    return with_validity(versions.select("customer_id", "valid_from", *ATTRIBUTES), CUSTOMER)


def _new_bands(first: int, last: int) -> Column:
    """The days of a version on which another age band begins."""
    turns = F.array(*(F.make_date(F.col("birth_year") + age, F.lit(1), F.lit(1)) for age in AGE_BANDS))

    def is_within(day: Column) -> Column:
        is_held = (day > F.col("valid_from")) & (F.col("_ends_on").isNull() | (day < F.col("_ends_on")))
        return is_held & (F.year(day) > first) & (F.year(day) <= last)

    return F.filter(turns, is_within)


def age_band(age: Column) -> Column:
    """Such as 25-34; NULL where no age is known."""
    band = F.when(age < AGE_BANDS[0], f"-{AGE_BANDS[0] - 1}")
    for youngest, following in pairwise(AGE_BANDS):
        band = band.when(age < following, f"{youngest}-{following - 1}")
    return band.when(age.isNotNull(), f"{AGE_BANDS[-1]}-")


def only_later(versions: DataFrame) -> DataFrame:
    """The versions but each customer's first one, which holds where no other does."""
    return versions.where(F.col("valid_from") > F.lit(BEGINNING))


def with_customer_key(receipts: DataFrame, versions: DataFrame | None) -> DataFrame:
    """Receipts with the key of the version of their customer that holds on their day."""
    key: Column = member_key("customer_id")
    if versions is not None:
        receipts = receipts.transform(with_version_key, only_later(versions), CUSTOMER)
        key = F.coalesce(CUSTOMER.key, key)
    return receipts.withColumn(CUSTOMER.key, F.when(F.col("customer_id").isNotNull(), key))
