"""Cards that a till uses for everybody: more receipts a day than a household has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from pyspark.sql import functions as F

from tillhouse.store import Since, Store, on_days
from tillhouse.tables import silver

Day = tuple[str, date, int]


@dataclass(frozen=True)
class StaffCards:
    """Cards and days above the limit (card_token, business_date, receipts), as they were and as they are."""

    before: frozenset[Day] = frozenset()
    now: frozenset[Day] = frozenset()

    @property
    def tokens(self) -> set[str]:
        return {token for token, _, _ in self.now}

    @property
    def tokens_before(self) -> set[str]:
        return {token for token, _, _ in self.before}

    @property
    def turned(self) -> set[str]:
        """Cards that are a staff's now and were not, or the other way round."""
        return self.tokens ^ self.tokens_before

    def write(self, store: Store) -> None:
        if self.now != self.before:
            store.overwrite(silver.STAFF_CARD_DAY, store.spark.createDataFrame(sorted(self.now), silver.STAFF_CARD_DAY.struct))


def find(store: Store, limit: int | None, since: Since | None) -> StaffCards:
    """Cards with more than ``limit`` receipts on a day over the whole chain; only days with news are counted again."""
    stored = store.read(silver.STAFF_CARD_DAY).collect() if store.version(silver.STAFF_CARD_DAY)[1] else []
    before = frozenset((row["card_token"], row["business_date"], row["receipts"]) for row in stored)
    if limit is None:
        return StaffCards(before)
    receipts = store.read(silver.RECEIPT)
    kept: Collection[Day] = ()
    if since is not None:
        if not store.has_news(silver.RECEIPT, since):
            return StaffCards(before, before)
        dates = [row[0] for row in store.changes(silver.RECEIPT, since).select("business_date").distinct().collect()]
        receipts = receipts.where(on_days(dates, silver.RECEIPT))
        kept = {day for day in before if day[1] not in dates}
    cards = store.read(silver.PARTY).where("card_token IS NOT NULL").select("party_key", "card_token")
    counted = (
        receipts.where("party_key IS NOT NULL AND business_date IS NOT NULL AND NOT is_day_total")
        .join(cards, on="party_key", how="inner")
        .groupBy("card_token", "business_date").agg(F.count(F.lit(1)).alias("receipts"))
        .where(F.col("receipts") > limit)
    )  # fmt: skip
    found = {(row["card_token"], row["business_date"], row["receipts"]) for row in counted.collect()}
    return StaffCards(before, frozenset({*kept, *found}))
