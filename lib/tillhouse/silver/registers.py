"""Tills that report in two branches: judged for the tills and days of which a receipt has changed, not for all history."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import functions as F

from tillhouse.silver import exceptions
from tillhouse.silver.exceptions import Judged
from tillhouse.sources.model import Source
from tillhouse.store import Since, Store, on_days
from tillhouse.tables import silver


def judge(store: Store, sources: Sequence[Source], since: Since | None) -> list[Judged]:
    """The tills of the sources whose till numbers are unique in the chain; ``sources``: all of conf."""
    named = {source.name for source in sources if source.registers == "of_chain"}
    is_rule = F.col("rule") == exceptions.REGISTER
    receipts = store.read(silver.RECEIPT).where("register_id IS NOT NULL")
    if since is None:
        return [Judged(exceptions.of_registers(receipts.where(F.col("source").isin(*named))) if named else None, is_rule)]
    judged = []
    changed = {part.removeprefix("source ") for part in since.changed_parts if part.startswith("source ")}
    if changed:
        found = exceptions.of_registers(receipts.where(F.col("source").isin(*(changed & named))))
        judged.append(Judged(found, is_rule & F.col("source").isin(*changed)))
    others = named - changed
    if others and store.has_news(silver.RECEIPT, since):
        days = store.touched(silver.RECEIPT, since, ["source", "register_id", "business_date"])
        days = store.keep(days.where(F.col("source").isin(*others) & F.col("register_id").isNotNull()))
        dates = [row[0] for row in days.select("business_date").distinct().collect()]
        concerned = receipts.where(on_days(dates, silver.RECEIPT)).join(F.broadcast(days), on=days.columns, how="left_semi")
        is_other = is_rule & F.col("source").isin(*others)
        judged.append(Judged(exceptions.of_registers(concerned), is_other, "_scope", days.select(exceptions.register_day())))
    return judged
