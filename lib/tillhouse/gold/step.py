"""The gold step: the star schema from silver, checked before it is published."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.gold import dimensions, facts, history, masters, receipt_facts, record_facts, return_links, small
from tillhouse.gold.bundles import COMPONENT
from tillhouse.gold.customers import Customers, Members, Receipts
from tillhouse.gold.history import RECEIPT_DAY
from tillhouse.gold.return_links import Linked
from tillhouse.products.returns import ReturnRules
from tillhouse.products.rules import ProductRules
from tillhouse.quality import expectations
from tillhouse.quality.expectations import Identity
from tillhouse.sources.fields import REVENUE_LINE_TYPES
from tillhouse.store import Since, Store, on_days, quoted
from tillhouse.tables import Table, gold, silver

LINES_PER_RECEIPT = 10  # about, to choose how to compute


@dataclass(frozen=True)
class _Work:
    """Receipts to be published: ``touched`` (receipt_key) that lie or lay on ``dates``, or all where it is None.

    ``payers``: sources that tell payments of receipts of other sources, on days of their own.
    """

    touched: DataFrame | None
    dates: Sequence[date] = ()
    payers: Collection[str] = ()

    @property
    def is_empty(self) -> bool:
        return self.touched is not None and not self.dates

    def of(self, store: Store, table: Table) -> DataFrame:
        """The rows of a table by receipt that are to be worked on."""
        rows = store.read(table)
        if self.touched is None:
            return rows
        where = on_days(self.dates, table)
        if table is silver.RECEIPT_PAYMENT and self.payers:
            where = f"{where} OR source IN ({quoted(self.payers)})"
        return rows.where(where).join(F.broadcast(self.touched), on="receipt_key", how="left_semi")

    def left(self, store: Store, table: Table, since: Since) -> DataFrame:
        """The rows of a table by receipt that are worked on, as the last run has left them."""
        return self.within(store.left_by(table, since).where(on_days(self.dates, table)))

    def within(self, rows: DataFrame) -> DataFrame:
        """Those of some rows by receipt that are worked on."""
        if self.touched is None:
            return rows
        return rows.join(F.broadcast(self.touched), on="receipt_key", how="left_semi")

    def others(self, rows: DataFrame) -> DataFrame:
        """The rows of a table by receipt that stay as they are."""
        if self.touched is None:
            return rows.where("false")
        return rows.join(F.broadcast(self.touched), on="receipt_key", how="left_anti")


def run(
    store: Store,
    rules: ProductRules,
    delivered: AbstractSet[str],
    as_of: date | None,
    since: Since | None,
    *,
    payers: Collection[str] = (),
    returns: ReturnRules,
) -> dict[str, int]:
    """Publish dimensions and facts; receipts from ``as_of`` on are left out.

    ``delivered``: what the sources' records are about; ``payers``: sources that tell payments of other sources' receipts.

    Raises:
        QualityError: a cross-table identity does not hold; nothing of the step is published then.
    """
    figures = _run_receipts(store, rules, delivered, as_of, since, payers=payers, returns=returns)
    return figures | record_facts.run(store, delivered, since, _no_customer(store).unclear)


def _run_receipts(
    store: Store,
    rules: ProductRules,
    delivered: AbstractSet[str],
    as_of: date | None,
    since: Since | None,
    *,
    payers: Collection[str],
    returns: ReturnRules,
) -> dict[str, int]:
    """Dimensions, and the facts of receipts."""
    until = F.lit(True) if as_of is None else F.col("business_date") < F.lit(as_of)
    master = masters.Masters.of(store, rules, delivered)
    customers = Customers.of(store, store.read(silver.RECEIPT).where(facts.VALID).where(until), as_of, since)
    concerned = [] if since is None else [*master.touched(since), *customers.touched(since)]
    work = replace(_work(store, concerned, as_of, since, payers=payers), payers=payers)
    receipts, lines = (work.of(store, table).where(until) for table in (silver.RECEIPT, silver.RECEIPT_LINE))
    lines = master.with_products(lines)
    changed = small.campaigns(store, delivered, since)
    branches = store.read(gold.DIM_BRANCH)
    if since is None or store.has_news(silver.BRANCH_VERSION, since):
        branches = changed[gold.DIM_BRANCH] = store.keep(dimensions.to_dim_branch(store.read(silver.BRANCH_VERSION)))
    products = store.read(gold.DIM_PRODUCT)
    if since is None or master.has_news_of_members(since) or _is_news_of_sold(store, work, lines):
        sold = _sold(store, work, lines)
        products = store.keep(dimensions.to_dim_product(store.read(silver.PRODUCT_VERSION), sold, master.groups()))
        changed[gold.DIM_PRODUCT] = products
    party_customers = store.read(silver.PARTY_CUSTOMER)
    if work.is_empty:
        assert since is not None
        stored = store.read(gold.FCT_RECEIPT)
        nothing = stored.where("false")
        members = customers.members(Receipts(nothing, nothing, stored), as_of, since) if customers.has_news(since) else None
        _publish(store, work, changed, members)
        return {"receipts": 0}
    sale_lines = facts.to_sale_lines(lines, receipts, products, rules, shares=master.shares(), categories=master.categories)
    sale_lines = store.keep(sale_lines)
    payments = work.of(store, silver.RECEIPT_PAYMENT)
    no_customer = _no_customer(store)
    fct_receipts = facts.to_fct_receipts(
        receipts, sale_lines, payments, party_customers, no_customer, branches=branches, customers=customers.versions
    )
    fct_receipts = store.keep(fct_receipts)
    others = work.others(store.read(gold.FCT_RECEIPT))
    before = None if work.touched is None else work.of(store, gold.FCT_RECEIPT)
    of_returns = return_links.Facts(work.touched, lines, sale_lines, fct_receipts, others)
    linked = return_links.link(store, of_returns, returns, since)

    left = None if since is None else work.left(store, gold.FCT_RECEIPT, since)
    members = customers.members(Receipts(fct_receipts, left, others), as_of, since)

    published = {
        **changed,
        **small.of_receipts(store, fct_receipts, before, others),
        gold.DIM_CUSTOMER: members.rows,
        gold.FCT_SALE_LINE: sale_lines,
        **receipt_facts.of_receipts(store, receipts, lines, lambda table: work.of(store, table)),
        gold.FCT_RECEIPT: linked.receipts,
        gold.FCT_RETURN: work.within(linked.returns),
    }
    count, revenue = _check(lines, receipts.where(facts.VALID), published, branches, payments=payments)
    _publish(store, work, {**published, **linked.published()}, members, linked)
    return {"receipts": count, "revenue_cents": int((revenue or Decimal(0)) * 100)}


def _publish(
    store: Store, work: _Work, published: Mapping[Table, DataFrame], members: Members | None, linked: Linked | None = None
) -> None:
    """Write what differs. ``members``: of dim_customer, ``linked``: of returns, where anything of them may differ."""
    replaced = {} if linked is None or work.touched is None else linked.replaced(work.touched, work.dates)
    if members is not None:
        members.write(store)
    for table, rows in published.items():
        if table == gold.DIM_CUSTOMER:
            continue
        if work.touched is None or "receipt_key" not in table.column_names:
            store.overwrite(table, rows)
        else:
            store.replace(table, rows, *replaced.get(table, (work.touched, work.dates)))
    if gold.FCT_RECEIPT not in published:
        return
    days = [
        store.read(table).agg(F.lit(table.name).alias("table"), F.min(column), F.max(column))
        for table, column in ((gold.FCT_RECEIPT, "business_date"), (gold.DIM_DATE, "date"))
    ]
    found = {row[0]: (row[1], row[2]) for row in days[0].union(days[1]).collect()}
    first, last = found[gold.FCT_RECEIPT.name]
    known = [day and day.year for day in found[gold.DIM_DATE.name]]
    if first is not None and known != [first.year, last.year]:
        store.overwrite(gold.DIM_DATE, dimensions.to_dim_date(store.spark, first, last))


def _work(
    store: Store, concerned: Sequence[DataFrame], as_of: date | None, since: Since | None, *, payers: Collection[str]
) -> _Work:
    """The receipts of which something has changed that their facts depend on. ``concerned``: those that master data touch."""
    if since is None:
        store.expect(store.read(silver.RECEIPT_LINE).count())
        return _Work(None)
    receipts = store.read(silver.RECEIPT)
    told = (silver.RECEIPT, silver.RECEIPT_LINE, *receipt_facts.TOLD_BESIDE, silver.RECEIPT_REFERENCE)
    changed = [store.touched(table, since, RECEIPT_DAY) for table in told if store.has_news(table, since)]
    if payers and store.has_news(silver.RECEIPT_PAYMENT, since):
        paid = store.touched(silver.RECEIPT_PAYMENT, since, ["receipt_key"])
        changed.append(receipts.join(F.broadcast(paid), on="receipt_key", how="left_semi").select(*RECEIPT_DAY))
    if since.has_changed("as_of"):
        bounds = [day for day in (since.as_of, as_of) if day is not None]
        between = F.col("business_date") >= min(bounds)
        if len(bounds) == 2:
            between = between & (F.col("business_date") < max(bounds))
        changed.append(receipts.where(between).select(*RECEIPT_DAY))
    if since.again:
        changed += [store.read(table).where(since.again).select(*RECEIPT_DAY) for table in (silver.RECEIPT, gold.FCT_RECEIPT)]
    changed += concerned
    changed += history.touched(store, history.BRANCH, since)
    parties = _changed_parties(store, since, is_alone=not changed)
    if parties is not None:
        changed.append(receipts.join(F.broadcast(parties), on="party_key", how="left_semi").select(*RECEIPT_DAY))
    if store.has_news(silver.IDENTITY_DECISION, since):
        decided = store.changes(silver.IDENTITY_DECISION, since).where("receipt_key IS NOT NULL").select("receipt_key").distinct()
        changed.append(receipts.join(F.broadcast(decided), on="receipt_key", how="left_semi").select(*RECEIPT_DAY))
    if not changed:
        return _Work(store.keep(receipts.select("receipt_key").where("false")))
    days = store.keep(union(changed).distinct())
    store.expect(days.count() * LINES_PER_RECEIPT, gold.FCT_RECEIPT)
    dates = [row[0] for row in days.select("business_date").distinct().collect()]
    return _Work(store.keep(days.select("receipt_key").distinct()), dates)


def _changed_parties(store: Store, since: Since, is_alone: bool) -> DataFrame | None:
    """Parties (party_key) that stand for another customer now; None if there are none.

    A customer seen for the first time is one of receipts that are new themselves, unless nothing else has changed (``is_alone``).
    """
    found = []
    if store.has_news(silver.PARTY_CUSTOMER, since):
        parties = store.touched(silver.PARTY_CUSTOMER, since, ["party_key"], ["party_key", "customer_id", "valid_to_run"])
        if not is_alone and store.has_news(silver.RECEIPT, since):
            feed = store.changes(silver.PARTY_CUSTOMER, since)
            is_first = feed.groupBy("party_key").agg(F.min("_is_new").alias("_is_first"))
            of_new = store.changes(silver.RECEIPT, since).where("_is_new").select("party_key").distinct()
            known = is_first.where("_is_first").join(of_new, on="party_key", how="left_semi").select("party_key")
            parties = parties.join(known, on="party_key", how="left_anti")
        found.append(parties)
    if store.has_news(silver.PARTY_WITHOUT_CUSTOMER, since):
        found.append(store.touched(silver.PARTY_WITHOUT_CUSTOMER, since, ["party_key"]))
    if not found:
        return None
    parties = store.keep(union(found).distinct())
    return None if parties.isEmpty() else parties


def _no_customer(store: Store) -> facts.NoCustomer:
    """What stands between receipts and customers, where there is any."""
    unclear = detached = None
    if store.version(silver.PARTY_WITHOUT_CUSTOMER)[1]:
        unclear = store.read(silver.PARTY_WITHOUT_CUSTOMER).where("reason = 'unclear'").select("party_key")
    if store.version(silver.IDENTITY_DECISION)[1]:
        detaching = store.read(silver.IDENTITY_DECISION).where("kind = 'detach' AND undone_at IS NULL")
        detached = detaching.select("receipt_key").distinct()
    return facts.NoCustomer(unclear, detached)


def _sold(store: Store, work: _Work, lines: DataFrame) -> DataFrame:
    """References of products that are sold, as far as they may be unknown: those of the lines and those listed before.

    One that was listed before goes when the last line that sold it has changed.
    """
    named = lines.select("product_ref")
    if work.touched is None:
        return named
    listed = store.read(gold.DIM_PRODUCT).where("NOT is_known").select(F.col("product_id"))
    before = (
        work.of(store, gold.FCT_SALE_LINE)
        .join(F.broadcast(listed), on="product_id", how="left_semi")
        .select("product_id")
        .distinct()
    )
    in_doubt = store.keep(before.join(named.toDF("product_id"), on="product_id", how="left_anti"))
    if not in_doubt.isEmpty():
        elsewhere = (
            work.others(store.read(gold.FCT_SALE_LINE))
            .join(F.broadcast(in_doubt), on="product_id", how="left_semi")
            .select("product_id")
        )
        listed = listed.join(
            in_doubt.join(elsewhere.distinct(), on="product_id", how="left_anti"), on="product_id", how="left_anti"
        )
    return named.union(listed)


def _is_news_of_sold(store: Store, work: _Work, lines: DataFrame) -> bool:
    """Whether the lines name a product that has no member yet, or may be the last to have named an unknown one."""
    named = lines.select(F.col("product_ref").alias("product_id"))
    members = store.read(gold.DIM_PRODUCT)
    new = named.where("product_id IS NOT NULL").join(members, on="product_id", how="left_anti")
    before = work.of(store, gold.FCT_SALE_LINE).select("product_id")
    unknown = before.join(F.broadcast(members.where("NOT is_known")), on="product_id", how="left_semi")
    return not new.union(unknown.join(named, on="product_id", how="left_anti")).isEmpty()


def _check(
    lines: DataFrame, valid: DataFrame, published: Mapping[Table, DataFrame], branches: DataFrame, *, payments: DataFrame
) -> tuple[int, Decimal | None]:
    """Facts agree with silver and with each other; returns receipts and revenue.

    ``lines``, ``payments``, ``valid``: silver, valid receipts only in the latter; ``published``: what is about to be published.
    """
    receipts, sale_lines = published[gold.FCT_RECEIPT], published[gold.FCT_SALE_LINE]
    is_orphan = F.expr("product_id IS NOT NULL AND product_key IS NULL")
    is_delivered = ~F.expr(f"bundle_role <=> '{COMPONENT}'")
    revenue = F.when(F.col("is_revenue"), F.col("gross_amount"))
    revenue_lines = lines.where(F.col("line_type").isin(*REVENUE_LINE_TYPES))
    delivered_revenue = revenue_lines.join(valid.select("receipt_key"), on="receipt_key", how="left_semi")
    no_branch = receipts.join(F.broadcast(branches), on="branch_key", how="left_anti")
    identified = receipts.where("customer_id IS NOT NULL")
    no_customer = identified.join(published[gold.DIM_CUSTOMER], on=["customer_id", "customer_key"], how="left_anti")
    nothing = F.lit(None).cast("DECIMAL(18,2)")
    every = F.count("*")
    sides = {
        "receipt": (receipts, every, F.sum("gross_amount"), F.sum("revenue_amount"), F.sum(F.col("return_amount") * 100)),
        "line": (sale_lines, F.count(F.when(is_delivered, 1)), nothing, F.sum(revenue), F.count(F.when(is_orphan, 1))),
        "delivered": (valid, every, F.sum("gross_amount"), nothing, F.sum("line_count")),
        "delivered_revenue": (delivered_revenue, every, nothing, F.sum("gross_amount"), F.lit(0)),
        "no_branch": (no_branch, every, nothing, nothing, F.lit(0)),
        "returned": (published[gold.FCT_RETURN], every, nothing, nothing, F.sum(F.col("gross_amount") * -100)),
        "no_customer": (no_customer, every, nothing, nothing, F.lit(0)),
    }
    sums = [
        rows.agg(
            F.lit(side).alias("side"),
            counted.alias("rows"),
            gross.cast("DECIMAL(38,2)").alias("gross"),
            revenue.cast("DECIMAL(38,2)").alias("revenue"),
            count.cast("bigint").alias("count"),
        )
        for side, (rows, counted, gross, revenue, count) in sides.items()
    ]
    found = {row["side"]: row for row in union(sums).collect()}
    receipt, line, delivered = found["receipt"], found["line"], found["delivered"]
    expectations.expect(
        "gold",
        [
            *expectations.keys_of(published),
            Identity("fct_receipt: a row for each valid receipt of silver", delivered["rows"], receipt["rows"]),
            Identity("fct_receipt: amounts of silver", delivered["gross"], receipt["gross"]),
            Identity("fct_receipt: no receipt without branch", 0, found["no_branch"]["rows"]),
            Identity("fct_receipt: no identified receipt without customer", 0, found["no_customer"]["rows"]),
            Identity("fct_sale_line: a row for each line of a valid receipt", delivered["count"], line["rows"]),
            Identity("fct_sale_line: revenue of silver", found["delivered_revenue"]["revenue"], line["revenue"]),
            Identity("fct_sale_line: revenue of fct_receipt", receipt["revenue"], line["revenue"]),
            Identity("fct_sale_line: no product without member", 0, line["count"]),
            *receipt_facts.identities(published, valid, payments),
            Identity("fct_return: cents returned of fct_receipt", receipt["count"], found["returned"]["count"]),
        ],
    )
    return receipt["rows"], receipt["revenue"]
