"""Which returns have to be linked anew where something has changed, and what that changes of the receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.gold import returns
from tillhouse.gold.returns import LINE
from tillhouse.products.returns import ReturnRules
from tillhouse.store import Since, Store, on_days
from tillhouse.tables import Table, gold, silver

_OF_RETURN = (
    *LINE, "told_line_number", "branch_id", "business_date", "product_key", "product_id", "currency", "quantity", "gross_amount",
    "reason",
)  # fmt: skip
_LINK = ("original_receipt_key", "original_lines", "link_method", "evidence")
_OF_PURCHASE = ("receipt_key", "branch_id", "business_date", "started_at", *returns.OWNERS.values())


@dataclass(frozen=True)
class Facts:
    """What is about to be published of the receipts that have changed, or of all where ``touched`` (receipt_key) is None.

    ``lines``: silver.receipt_line; ``sale_lines``, ``receipts``: gold, new; ``others``: gold.fct_receipt of the others.
    """

    touched: DataFrame | None
    lines: DataFrame
    sale_lines: DataFrame
    receipts: DataFrame
    others: DataFrame


@dataclass(frozen=True)
class Linked:
    """``returns`` replace those of ``touched`` (LINE; all where it is None) on ``dates``; ``receipts`` have their return_status.

    ``restated``: other receipts, of which that alone has changed, on ``restated_dates``.
    """

    returns: DataFrame
    touched: DataFrame | None
    dates: Sequence[date]
    receipts: DataFrame
    restated: DataFrame | None = None
    restated_dates: Sequence[date] = ()

    def published(self) -> dict[Table, DataFrame]:
        """The rows of receipts and returns that are to be written."""
        receipts = self.receipts if self.restated is None else self.receipts.unionByName(self.restated)
        return {gold.FCT_RECEIPT: receipts, gold.FCT_RETURN: self.returns}

    def replaced(self, touched: DataFrame, dates: Sequence[date]) -> dict[Table, tuple[DataFrame, Sequence[date]]]:
        """The keys that they replace, and on which days, beside the receipts that have changed."""
        receipts = touched if self.restated is None else touched.union(self.restated.select("receipt_key"))
        assert self.touched is not None
        return {
            gold.FCT_RECEIPT: (receipts, sorted({*dates, *self.restated_dates})),
            gold.FCT_RETURN: (self.touched, self.dates),
        }


def link(store: Store, facts: Facts, rules: ReturnRules, since: Since | None) -> Linked:
    """Link the returns that may have another purchase than before, and say of their purchases how much came back."""
    new = returns.to_returned_lines(returns.to_goods(facts.sale_lines.where("is_return")), facts.lines, rules)
    new = store.keep(new.select(*_OF_RETURN))
    if facts.touched is None or since is None:
        return _link_all(store, facts, new, rules)
    before = store.left_by(gold.FCT_RETURN, since)
    if new.isEmpty() and store.read(gold.FCT_RETURN).union(before).isEmpty():
        return Linked(_no_returns(store), new.select(*LINE), (), facts.receipts)
    return _Night(store, facts, rules, since, new, before, _cards(store, since)).link()


def _no_returns(store: Store) -> DataFrame:
    return store.read(gold.FCT_RETURN).where("false")


def _link_all(store: Store, facts: Facts, returned: DataFrame, rules: ReturnRules) -> Linked:
    if returned.isEmpty():
        return Linked(_no_returns(store), None, (), facts.receipts)
    told = returns.to_told(store.read(silver.RECEIPT_REFERENCE))
    unknown = store.keep(returns.missing(told, facts.receipts))
    referred = returns.to_referred(told, facts.receipts)
    if not unknown.isEmpty():
        own = store.read(silver.RECEIPT)
        documents = own.join(facts.receipts.select("receipt_key"), on="receipt_key", how="left_semi")
        referred = referred.unionByName(returns.by_parts(unknown, own, documents))
    referred = store.keep(referred)
    cards = _cards(store, None)
    purchases = returns.with_owners(facts.receipts, cards)
    found = union([_purchases(returned, purchases, rules, owner).select("receipt_key", "product_id") for owner in _owners(cards)])
    bought = found.distinct()
    hits = facts.sale_lines.join(bought, on=["receipt_key", "product_id"], how="left_semi").select("receipt_key")
    sold = store.keep(_goods_of(facts.sale_lines, hits.union(_named(referred)).distinct()))
    nothing = _nothing_taken(store)
    links = store.keep(returns.to_links(returned, purchases, sold, referred, rules, taken=nothing))
    if cards is not None:
        links = store.keep(returns.with_links_of_cards(links, returned, purchases, sold, rules, taken=nothing))
    rows = store.keep(returns.to_fct_return(returned, links, facts.receipts))
    receipts = _with_status(facts.receipts, returns.to_return_status(rows, sold))
    return Linked(rows, None, (), store.keep(receipts))


def _named(links: DataFrame) -> DataFrame:
    """The purchases (receipt_key) of links, or those that references are to."""
    return links.where("original_receipt_key IS NOT NULL").select(F.col("original_receipt_key").alias("receipt_key")).distinct()


def _nothing_taken(store: Store) -> DataFrame:
    return store.spark.createDataFrame([], "receipt_key STRING, line_number INT, units BIGINT")


def _cards(store: Store, since: Since | None) -> DataFrame | None:
    """Payments (silver) where any of them tells, or told before, with which card it was made; else None."""
    if store.version(silver.RECEIPT_PAYMENT)[1] <= 0:
        return None
    payments = store.read(silver.RECEIPT_PAYMENT)
    found = payments if since is None else payments.unionByName(store.left_by(silver.RECEIPT_PAYMENT, since))
    return None if found.where("payment_token IS NOT NULL").isEmpty() else payments


def _owners(cards: DataFrame | None) -> list[str]:
    """By which columns purchases are looked for."""
    return [owner for method, owner in returns.OWNERS.items() if method != returns.PAYMENT_TOKEN or cards is not None]


def _purchases(returned: DataFrame, receipts: DataFrame, rules: ReturnRules, owner: str) -> DataFrame:
    """Receipts of an owner in the window before its returns: receipt_key, business_date, and the product returned."""
    known = receipts.where(f"{owner} IS NOT NULL").select("receipt_key", owner, "business_date")
    of_return = returned.where("product_id IS NOT NULL").join(known.select("receipt_key", owner), on="receipt_key", how="inner")
    wanted = of_return.select(owner, "product_id", F.col("business_date").alias("_returned_on")).distinct()
    in_window = F.datediff("_returned_on", "business_date").between(0, rules.window_days)
    return known.join(wanted, on=owner, how="inner").where(in_window)


def _within_window(returned_on: Sequence[date], rules: ReturnRules) -> str:
    """SQL predicate: trading days on which what came back on these days may have been bought."""
    spans: list[tuple[date, date]] = []
    for day in sorted(returned_on):
        first = day - timedelta(days=rules.window_days)
        if spans and first <= spans[-1][1]:
            first = spans.pop()[0]
        spans.append((first, day))
    return " OR ".join(f"business_date BETWEEN DATE'{first}' AND DATE'{last}'" for first, last in spans) or "false"


def _goods_of(sale_lines: DataFrame, keys: DataFrame) -> DataFrame:
    """What was sold by these receipts."""
    sold = sale_lines.where("NOT is_return").join(keys, on="receipt_key", how="left_semi")
    return returns.to_goods(sold)


def _with_status(receipts: DataFrame, status: DataFrame) -> DataFrame:
    joined = receipts.drop("return_status").join(status, on="receipt_key", how="left")
    return gold.FCT_RECEIPT.conform(joined.withColumn("return_status", F.coalesce("return_status", F.lit("none"))))


@dataclass(frozen=True)
class _Night:
    """What has changed since, and what was linked before. Frames that are asked for twice are kept.

    Returns of a product by a customer compete for its purchases; those further apart than the window do not. So what is linked
    anew are the returns that changed, those that refer to what changed or to what these refer to, and all that compete with any
    of them. Those by payment card take what these leave: where any of them may leave more or less than before, they are linked
    anew too. ``cards``: payments (silver), where they tell cards.
    """

    store: Store
    facts: Facts
    rules: ReturnRules
    since: Since
    new: DataFrame
    before: DataFrame
    cards: DataFrame | None

    def link(self) -> Linked:
        store, touched = self.store, self.touched
        stored = store.read(gold.FCT_RETURN)
        others = stored.join(touched, on="receipt_key", how="left_anti").select(*_OF_RETURN, *_LINK)
        gone = store.keep(self.before.join(touched, on="receipt_key", how="left_semi").select(*_OF_RETURN, *_LINK))
        every = returns.with_owners(self.facts.receipts.unionByName(self.facts.others), self.cards).select(*_OF_PURCHASE)
        told = returns.to_told(store.read(silver.RECEIPT_REFERENCE))

        referring = store.keep(self._referring(others, told))
        concerned = self.new.select("receipt_key").union(referring.select("receipt_key")).distinct()
        referred = self._referred(told, concerned, every)
        before = gone.select(*_LINK).union(referring.select(*_LINK)).where("link_method = 'reference'")
        originals = store.keep(_named(referred).union(_named(before)).distinct())
        shared = F.broadcast(originals.toDF("original_receipt_key"))
        sharing = others.where("link_method = 'reference'").join(shared, on="original_receipt_key", how="left_semi")
        by_reference = store.keep(referring.union(sharing.select(referring.columns)).distinct())
        guessed = others.where("link_method <> 'reference'").where(F.col("evidence") != returns.NOT_FOUND)
        competing = self._competing(returns.CUSTOMER_PRODUCT, guessed, by_reference, gone, sold=originals, every=every)
        again = store.keep(by_reference.union(competing.select(by_reference.columns)).distinct())
        every_again = again
        if self.cards is not None:
            every_again = store.keep(again.union(self._of_cards(others, again, gone, originals, every)))
        if self.new.isEmpty() and every_again.isEmpty() and gone.isEmpty():
            return Linked(_no_returns(store), self.new.select(*LINE), (), self.facts.receipts)
        more = again.select("receipt_key").join(concerned, on="receipt_key", how="left_anti").distinct()
        referred = store.keep(referred.unionByName(self._referred(told, more, every)))
        return self._link(again, every_again, gone, others, referred=referred, every=every)

    @property
    def touched(self) -> DataFrame:
        """The receipts that have changed (receipt_key); they are few."""
        assert self.facts.touched is not None
        return F.broadcast(self.facts.touched)

    def _referred(self, told: DataFrame, asked: DataFrame, every: DataFrame) -> DataFrame:
        """What the references of some receipts are to."""
        told = self.store.keep(told.join(F.broadcast(asked), on="receipt_key", how="left_semi"))
        keys = told.select(F.col("ref_receipt_key").alias("receipt_key")).distinct()
        receipts = self.store.keep(every.join(F.broadcast(keys), on="receipt_key", how="left_semi").select("receipt_key"))
        referred = returns.to_referred(told, receipts)
        unknown = self.store.keep(returns.missing(told, receipts))
        if unknown.isEmpty():
            return self.store.keep(referred)
        documents = self.store.read(silver.RECEIPT)
        own = documents.join(F.broadcast(asked), on="receipt_key", how="left_semi")
        wanted = F.broadcast(unknown.select(F.col("ref_receipt_id").alias("_number")).distinct())
        numbered = documents.withColumn("_number", F.explode(returns.numbers())).join(wanted, on="_number", how="left_semi")
        found = self.store.keep(numbered.drop("_number").distinct())
        valid = every.join(F.broadcast(found.select("receipt_key")), on="receipt_key", how="left_semi").select("receipt_key")
        of_parts = returns.by_parts(unknown, own, found.join(valid, on="receipt_key", how="left_semi"))
        return self.store.keep(referred.unionByName(of_parts))

    def _referring(self, others: DataFrame, told: DataFrame) -> DataFrame:
        """Returns of other receipts of which the receipt that they refer to, or the purchase that they had, has changed."""
        by_key = told.join(self.touched.toDF("ref_receipt_key"), on="ref_receipt_key", how="left_semi").select("receipt_key")
        changed = self.store.read(silver.RECEIPT).join(self.touched, on="receipt_key", how="left_semi")
        numbers = changed.select(F.explode(returns.numbers()).alias("ref_receipt_id")).distinct()
        by_number = told.join(F.broadcast(numbers), on="ref_receipt_id", how="left_semi").select("receipt_key")
        is_open = F.col("evidence").isin(returns.NOT_FOUND, returns.PARTS, returns.SEVERAL)
        has_changed = self.touched.toDF("original_receipt_key")
        several = others.where(F.col("evidence") == returns.SEVERAL)
        return union(
            [
                others.join(has_changed, on="original_receipt_key", how="left_semi").select(others.columns),
                others.join(F.broadcast(by_key.distinct()), on="receipt_key", how="left_semi"),
                others.where(is_open).join(F.broadcast(by_number.distinct()), on="receipt_key", how="left_semi"),
                several.join(told.select("receipt_key").distinct(), on="receipt_key", how="left_semi"),
            ]
        ).distinct()

    def _of_cards(
        self, others: DataFrame, again: DataFrame, gone: DataFrame, originals: DataFrame, every: DataFrame
    ) -> DataFrame:
        """Returns that no customer explains and whose card may explain them by what has changed, or by what ``again`` takes."""
        is_open = F.col("evidence").isin(returns.NO_CUSTOMER, returns.NOTHING_FOUND, returns.SEVERAL_OF_CARD)
        guessed = others.where(is_open | (F.col("link_method") == returns.PAYMENT_TOKEN))
        of_customers = self.new.union(again.select(*_OF_RETURN))
        bought = _purchases(of_customers, every, self.rules, returns.OWNERS[returns.CUSTOMER_PRODUCT])
        sold = union([originals, _named(again), _named(gone), bought.select("receipt_key")])
        competing = self._competing(returns.PAYMENT_TOKEN, guessed, again, gone, sold=sold, every=every)
        others_again = competing.join(F.broadcast(again.select(*LINE)), on=list(LINE), how="left_anti")
        return others_again.select(again.columns)

    def _competing(
        self, method: str, guessed: DataFrame, again: DataFrame, gone: DataFrame, *, sold: DataFrame, every: DataFrame
    ) -> DataFrame:
        """Returns without reference (``guessed``) that may take from the same purchases as what has changed.

        That are the new returns, those that are ``gone`` or linked ``again``, and purchases (``sold``, receipt_key).
        """
        store, window, owner = self.store, self.rules.window_days, returns.OWNERS[method]
        of_receipt = ["receipt_key", owner, "business_date"]
        keys = union([self.touched, again.select("receipt_key"), sold]).distinct()
        now = store.keep(every.join(F.broadcast(keys), on="receipt_key", how="left_semi").select(*of_receipt))
        then = store.left_by(gold.FCT_RECEIPT, self.since).join(self.touched, on="receipt_key", how="left_semi")
        paid = None if self.cards is None else store.left_by(silver.RECEIPT_PAYMENT, self.since)
        old = store.keep(returns.with_owners(then, paid).select(*of_receipt))
        seeds = store.keep(now.union(old).where(f"{owner} IS NOT NULL").select(owner, "business_date").distinct())
        owners = F.broadcast(seeds.select(owner).distinct())
        owned = every.join(owners, on=owner, how="left_semi").select("receipt_key", owner)
        stored = store.keep(guessed.join(F.broadcast(owned), on="receipt_key", how="inner"))
        near = F.broadcast(seeds.select(owner, F.col("business_date").alias("_seed")))
        is_near = F.datediff("business_date", "_seed").between(0, window)
        hit = stored.join(near, on=owner, how="inner").where(is_near).select(*LINE).distinct()
        flagged = stored.join(hit.withColumn("_is_hit", F.lit(True)), on=list(LINE), how="left")
        changed = union(
            [
                rows.select("receipt_key", "product_id", F.col("business_date").alias("_date")).join(heads, on="receipt_key")
                for rows, heads in ((self.new, now), (gone, old), (again, now))
            ]
        ).select(owner, "product_id", F.col("_date").alias("business_date"), F.lit(True).alias("_is_hit"))
        told = flagged.unionByName(changed, allowMissingColumns=True).where(f"product_id IS NOT NULL AND {owner} IS NOT NULL")
        in_time = Window.partitionBy(owner, "product_id").orderBy("business_date")
        gap = F.datediff("business_date", F.lag("business_date").over(in_time)) > window
        starts = told.withColumn("_starts", F.coalesce(gap.cast("INT"), F.lit(0)))
        runs = starts.withColumn("_run", F.sum("_starts").over(in_time.rangeBetween(Window.unboundedPreceding, 0)))
        is_hit = F.max(F.coalesce("_is_hit", F.lit(False))).over(Window.partitionBy(owner, "product_id", "_run"))
        return runs.withColumn("_is_hit", is_hit).where("_is_hit AND receipt_key IS NOT NULL").select(guessed.columns)

    def _link(
        self,
        first: DataFrame,
        again: DataFrame,
        gone: DataFrame,
        others: DataFrame,
        *,
        referred: DataFrame,
        every: DataFrame,
    ) -> Linked:
        """Link the new returns and those linked ``again``; those of them that are not ``first`` by their card alone."""
        store, rules, has_cards = self.store, self.rules, self.cards is not None
        returned = store.keep(self.new.union(again.select(*_OF_RETURN)))
        before_cards = store.keep(self.new.union(first.select(*_OF_RETURN))) if has_cards else returned
        kept = others.join(F.broadcast(again.select(*LINE)), on=list(LINE), how="left_anti")
        then = self.before.join(F.broadcast(again.select(*LINE)), on=list(LINE), how="left_semi")
        had = store.keep(union([_named(frame) for frame in (again, gone, then)]).distinct())
        returned_on = [row[0] for row in returned.select("business_date").distinct().collect()]
        recent = every.where(_within_window(returned_on, rules))
        own = store.keep(recent.join(F.broadcast(returned.select("receipt_key").distinct()), on="receipt_key", how="left_semi"))
        owned, found = list[DataFrame](), list[DataFrame]()
        for owner in _owners(self.cards):
            owners = F.broadcast(own.where(f"{owner} IS NOT NULL").select(owner).distinct())
            owned.append(store.keep(recent.join(owners, on=owner, how="left_semi").select(*_OF_PURCHASE)))
            found.append(_purchases(returned, owned[-1], rules, owner).select("receipt_key", "product_id", "business_date"))
        bought = store.keep(union(found).distinct())
        named = F.broadcast(had.union(_named(referred)).distinct())
        others_named = store.keep(every.join(named, on="receipt_key", how="left_semi"))
        days = bought.select("business_date").union(others_named.select("business_date")).distinct()
        sale_lines = self._sale_lines([row[0] for row in days.collect()])
        products = F.broadcast(bought.select("receipt_key", "product_id"))
        hits = sale_lines.join(products, on=["receipt_key", "product_id"], how="left_semi").select("receipt_key")
        keys = store.keep(hits.union(others_named.select("receipt_key")).distinct())
        sold = store.keep(_goods_of(sale_lines, F.broadcast(keys)))
        purchases = store.keep(union([own, *owned, others_named]).distinct())
        used = kept.join(F.broadcast(keys.toDF("original_receipt_key")), on="original_receipt_key", how="left_semi")
        taken = _taken(used.where(F.col("link_method") != returns.PAYMENT_TOKEN))
        links = store.keep(returns.to_links(before_cards, purchases, sold, referred, rules, taken=taken))
        if has_cards:
            links = store.keep(returns.with_links_of_cards(links, returned, purchases, sold, rules, taken=_taken(used)))
        rows = store.keep(returns.to_fct_return(returned, links, purchases))
        return self._linked(rows, had, gone, used, sold)

    def _sale_lines(self, dates: Sequence[date]) -> DataFrame:
        stored = self.store.read(gold.FCT_SALE_LINE).where(on_days(dates, gold.FCT_SALE_LINE))
        kept = stored.join(self.touched, on="receipt_key", how="left_anti")
        days = F.col("business_date").isin(*dates) if dates else F.lit(False)
        return kept.unionByName(self.facts.sale_lines.where(days))

    def _linked(self, rows: DataFrame, had: DataFrame, gone: DataFrame, used: DataFrame, sold: DataFrame) -> Linked:
        """The links with the status of all receipts that have or had one of them."""
        store = self.store
        names = ("original_receipt_key", "original_lines", "gross_amount")
        status = store.keep(returns.to_return_status(rows.select(*names).union(used.select(*names)), sold))
        concerned = F.broadcast(_named(rows).union(had).distinct())
        of_others = store.keep(self.facts.others.join(concerned, on="receipt_key", how="left_semi"))
        before = of_others.select("receipt_key", F.col("return_status").alias("_before"))
        changed = _with_status(of_others, status).join(before, on="receipt_key", how="inner").where("return_status <> _before")
        restated = store.keep(gold.FCT_RECEIPT.conform(changed))
        receipts = store.keep(_with_status(self.facts.receipts, status))
        stored = store.read(gold.FCT_RETURN).join(self.touched, on="receipt_key", how="left_semi")
        keys = store.keep(union([frame.select(*LINE, "business_date") for frame in (rows, gone, stored)]).distinct())
        days = keys.select("business_date", F.lit(True)).union(restated.select("business_date", F.lit(False))).distinct()
        found = days.collect()
        dates, restated_dates = ([row[0] for row in found if row[1] is is_return] for is_return in (True, False))
        named = keys.select(*LINE).distinct()
        return Linked(rows, named, dates, receipts, restated if restated_dates else None, restated_dates)


def _taken(rows: DataFrame) -> DataFrame:
    """What stored links take of the lines of purchases."""
    lines = rows.select(F.col("original_receipt_key").alias("receipt_key"), F.explode("original_lines").alias("_"))
    units = (F.col("_.quantity") * returns.UNIT).cast("BIGINT").alias("units")
    return lines.select("receipt_key", "_.line_number", units)
