"""Returns to their purchase: by reference, else by customer or payment card and product within the return window.

A line is never returned more often than it was sold, over all of its returns. They take from what was sold in the order of
trading day, instant, receipt and line; those with a reference come first, so that no guess takes what another return names, and
those of customers before those of payment cards. A purchase is linked without reference only where it is the only one that
fits: of two that fit equally well neither is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, islice

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.gold.facts import is_negative
from tillhouse.products.returns import ReturnRules
from tillhouse.sources.fields import GOODS
from tillhouse.tables.gold import FCT_RETURN

RULES_VERSION = 1
REFERENCE, CUSTOMER_PRODUCT, PAYMENT_TOKEN, NONE = "reference", "customer_product", "payment_token", "none"
REFERRING = ("RETURN_OF", "VOID_OF")
LINE = ("receipt_key", "line_number")
ORDER = ("business_date", "started_at", *LINE)
WHOLE_RECEIPT = 9
_REFERRED = ("receipt_key", "line_number", "ref_line_number", "original_receipt_key")
PARTS, NOT_FOUND, SEVERAL = "parts_of_reference", "receipt_not_found", "several_candidates"
NO_CUSTOMER, NOTHING_FOUND, SEVERAL_OF_CARD = "no_customer", "nothing_found", "several_of_card"
# By whom a return without reference is known to be of a purchase.
OWNERS = {CUSTOMER_PRODUCT: "buyer_id", PAYMENT_TOKEN: "payer_id"}
# How well a sold line fits: evidence and confidence by method and rank, the best first.
EVIDENCE: Mapping[str, Mapping[int, tuple[str, Decimal]]] = {
    REFERENCE: {
        0: ("named_line", Decimal("1.00")),
        1: ("product_and_price", Decimal("0.99")),
        2: ("product", Decimal("0.97")),
        3: ("other_product", Decimal("0.90")),
        WHOLE_RECEIPT: ("receipt", Decimal("0.90")),
    },
    CUSTOMER_PRODUCT: {0: ("product_and_price", Decimal("0.95")), 1: ("product", Decimal("0.70"))},
    PAYMENT_TOKEN: {0: ("product_and_price", Decimal("0.85")), 1: ("product", Decimal("0.50"))},  # a masked number is of many
}
BY_PARTS = Decimal("0.95")  # of a receipt that is not named by its whole key, but is the only one with these parts and goods
_LINES = "ARRAY<STRUCT<line_number: INT, quantity: DECIMAL(18,3)>>"
UNIT = 1000  # quantities have three decimals; units are whole
_UNITS_OF_LINES = "ARRAY<STRUCT<line_number: INT, units: BIGINT>>"
_TAKEN = (
    f"receipt_key STRING, line_number INT, original_receipt_key STRING, original_lines {_UNITS_OF_LINES}, rank INT, "
    "candidate_count INT"
)


# What is bought and what comes back


def to_goods(lines: DataFrame) -> DataFrame:
    """Lines of goods that count, sold and returned, each with the discounts that belong to it. ``lines``: gold.fct_sale_line.

    ``units`` are what can come back of a line: thousandths of its quantity, of lines without quantity tenths of a cent; what
    voids inside the receipt have taken back of the product is off, from the last line on.
    """
    is_discount = F.col("line_type") == "DISCOUNT"
    counted = (
        lines.where(F.col("is_revenue") & F.col("line_type").isin(*GOODS, "DISCOUNT"))
        .where(is_discount | ~F.col("is_voided"))
        .withColumn("_is_void", ~is_discount & ~F.col("is_return") & is_negative())
    )
    goods = F.collect_list(F.when(~is_discount & ~F.col("_is_void"), F.struct("line_number", "product_id", "bundle_role"))).over(
        Window.partitionBy("receipt_key", "is_return")
    )
    owner = F.array_min(
        F.transform(
            goods,
            lambda line: F.struct(
                line["line_number"] != F.coalesce("parent_line_number", F.lit(-1)),
                ~line["product_id"].eqNullSafe(F.col("product_id")),
                line["line_number"].alias("line_number"),
            ),
        )
    )
    is_own = F.col("is_return") | ~owner["col1"] | ~owner["col2"] & F.col("product_id").isNotNull()
    owned = counted.withColumn(
        "_owner", F.when(~is_discount, F.col("line_number")).otherwise(F.when(is_own, owner["line_number"]))
    ).where("_owner IS NOT NULL")
    of_line = F.struct(
        *(F.col(name) for name in ("told_line_number", "branch_id", "business_date", "product_key", "product_id")),
        *(F.col(name) for name in ("currency", "quantity", "_is_void")),
    )
    component = F.col("bundle_role") == "component"
    told = owned.withColumn("told_line_number", F.when(component, F.col("parent_line_number")).otherwise(F.col("line_number")))
    summed = told.groupBy("receipt_key", "is_return", "_owner").agg(
        F.max(F.when(~is_discount, of_line)).alias("_line"),
        F.sum("gross_amount").cast("DECIMAL(18,2)").alias("gross_amount"),
    )
    flat = summed.where("_line IS NOT NULL").select(
        "receipt_key", "is_return", F.col("_owner").alias("line_number"), "gross_amount", "_line.*"
    )
    return flat.transform(with_units).transform(_without_voided)


def with_units(goods: DataFrame) -> DataFrame:
    """Whole units of a line, and whether they are told by its quantity or, without one, by its amount."""
    by_quantity = F.coalesce(F.col("quantity") != 0, F.lit(False))
    units = F.when(by_quantity, F.abs("quantity") * UNIT).otherwise(F.abs("gross_amount") * UNIT)
    units = units.cast("BIGINT")
    return goods.withColumns({"has_quantity": by_quantity, "units": units, "sold_units": units})


def _without_voided(goods: DataFrame) -> DataFrame:
    product = Window.partitionBy("receipt_key", "is_return", "product_id", "has_quantity")
    before = product.orderBy("line_number").rowsBetween(Window.unboundedPreceding, -1)
    sold = F.when(~F.col("_is_void"), F.col("units")).otherwise(0)
    remaining = F.sum(F.when(F.col("_is_void"), -F.col("units")).otherwise(F.col("units"))).over(product)
    free = F.greatest(F.lit(0), F.least("units", remaining - F.coalesce(F.sum(sold).over(before), F.lit(0))))
    return goods.withColumn("units", free.cast("BIGINT")).where("NOT _is_void").drop("_is_void")


def to_returned_lines(goods: DataFrame, lines: DataFrame, rules: ReturnRules) -> DataFrame:
    """Returned lines with their reason, not linked yet. ``goods``: of ``to_goods``; ``lines``: silver.receipt_line."""
    reasons = lines.where("return_reason IS NOT NULL").select(
        "receipt_key", F.col("line_number").alias("told_line_number"), reason(rules).alias("reason")
    )
    returned = goods.where("is_return").join(reasons, on=["receipt_key", "told_line_number"], how="left")
    return returned.drop("is_return", "units", "sold_units", "has_quantity")


def reason(rules: ReturnRules) -> Column:
    """The reason of a return as conf names it; where conf names none, as it is told."""
    told = F.trim("return_reason")
    known = rules.reason_of
    if not known:
        return F.when(told != "", told)
    mapped = F.create_map(*(F.lit(text) for pair in sorted(known.items()) for text in pair))
    return F.when(told != "", F.coalesce(F.try_element_at(mapped, F.lower(told)), F.lit("other")))


# References


def to_told(references: DataFrame) -> DataFrame:
    """References by which returns tell their purchase; a reversing receipt takes all of another one back, line for line."""
    told = references.where(F.col("ref_type").isin(*REFERRING)).where("ref_receipt_key IS NOT NULL OR ref_receipt_id IS NOT NULL")
    return told.withColumn("line_number", F.when(F.col("ref_type") != "VOID_OF", F.col("line_number")))


def to_referred(told: DataFrame, receipts: DataFrame) -> DataFrame:
    """References with the receipt whose whole key they tell: ``original_receipt_key``, NULL where it is not there (yet).

    ``told``: of ``to_told``; ``receipts``: gold.fct_receipt.
    """
    keys = receipts.select(F.col("receipt_key").alias("original_receipt_key"))
    found = told.join(keys, on=F.col("ref_receipt_key") == F.col("original_receipt_key"), how="left")
    return found.select(*_REFERRED, F.lit(0).alias("mismatch"), F.col("original_receipt_key").isNotNull().alias("is_whole_key"))


def missing(told: DataFrame, receipts: DataFrame) -> DataFrame:
    """References whose receipt is not known by its whole key, but may be by its number."""
    keys = receipts.select(F.col("receipt_key").alias("ref_receipt_key"))
    return told.where("ref_receipt_id IS NOT NULL").join(keys, on="ref_receipt_key", how="left_anti")


def by_parts(told: DataFrame, own: DataFrame, documents: DataFrame) -> DataFrame:
    """References with each receipt that has their number and contradicts nothing that they tell.

    The key of a receipt cannot be told where its closing is not named, or where branch or till were left out and those of the
    return were taken. ``mismatch`` counts the parts in which the two differ. ``told``: of ``missing``; ``own``, ``documents``:
    silver.receipt, of the returns, and of the receipts that count.
    """
    parts = ("source", "branch_id", "register_id", "closing_id", "business_date")
    numbered = documents.select(
        F.col("receipt_key").alias("original_receipt_key"),
        *(F.col(name).alias(f"_{name}") for name in parts),
        F.explode(numbers()).alias("ref_receipt_id"),
    )
    registers = own.select("receipt_key", F.col("register_id").alias("_own_register"))
    alike = told.join(numbered, on="ref_receipt_id", how="inner").join(registers, on="receipt_key", how="left")
    same_source = F.col("_source") == F.col("source")
    differs = {part: ~F.col(f"ref_{part}").eqNullSafe(F.col(f"_{part}")) for part in ("branch_id", "register_id")}
    differs["closing_id"] = F.col("ref_closing_id").isNotNull() & ~F.col("ref_closing_id").eqNullSafe(F.col("_closing_id"))
    other_date = F.coalesce(F.abs(F.datediff("ref_date", "_business_date")) > 1, F.lit(False))
    is_branch_told = ~F.col("ref_branch_id").eqNullSafe(F.col("branch_id"))
    is_register_told = ~F.col("ref_register_id").eqNullSafe(F.col("_own_register"))
    contradicts = other_date | is_branch_told & differs["branch_id"]
    contradicts = contradicts | same_source & (is_register_told & differs["register_id"] | differs["closing_id"])
    mismatch = (~same_source).cast("INT")
    for part in differs.values():
        mismatch = mismatch + part.cast("INT")
    fitting = alike.where(~contradicts).where("original_receipt_key <> receipt_key")
    return fitting.select(*_REFERRED, mismatch.alias("mismatch"), F.lit(False).alias("is_whole_key"))


def numbers() -> Column:
    """The numbers by which people and other systems know a receipt (silver.receipt)."""
    return F.array_distinct(F.array_compact(F.array("receipt_id", "receipt_number")))


def by_reference(returned: DataFrame, referred: DataFrame, sold: DataFrame, rules: ReturnRules) -> DataFrame:
    """One row for each returned line that has a reference, with what it takes of its purchase, if that is found.

    A reference of the line goes before one of the receipt. ``returned``, ``sold``: goods with ``units``, the former with
    ``started_at``.
    """
    lines = referred.withColumnsRenamed({"receipt_key": "_receipt", "line_number": "_line"})
    of_line = F.col("_line").isNull() | (F.col("_line") == F.col("told_line_number"))
    referring = returned.join(lines, on=(F.col("receipt_key") == F.col("_receipt")) & of_line, how="inner")
    same_goods = _same_product() & F.col("has_quantity").eqNullSafe(F.col("_has_quantity"))
    is_named = F.coalesce(F.col("ref_line_number") == F.col("_told_line_number"), F.lit(False))
    is_itself = F.coalesce(F.col("ref_line_number") == F.col("original_line"), F.lit(False))
    rank = (
        F.when(same_goods & is_named, 0)
        .when(same_goods & _same_price(), 1)
        .when(same_goods, 2)
        .when(is_itself & F.col("has_quantity").eqNullSafe(F.col("_has_quantity")), 3)
    )
    pairs = referring.join(_as_originals(sold), on=["original_receipt_key", "currency"], how="left").withColumn("rank", rank)
    sure = [rank for rank, (_, confidence) in EVIDENCE[REFERENCE].items() if confidence >= rules.least_confidence]
    by_parts_rank = 1 if rules.least_confidence <= BY_PARTS else -1
    fits = F.when(F.col("is_whole_key"), F.col("rank").isin(*sure)).otherwise(F.col("rank") <= by_parts_rank)
    whole_receipt = F.col("is_whole_key") & F.lit(WHOLE_RECEIPT in sure)
    fitting = F.coalesce(F.col("original_line").isNotNull() & fits, F.lit(False))
    line = F.struct("rank", F.col("original_line").alias("line"), F.col("_units").alias("free"))
    by_receipt = pairs.groupBy(*LINE, "original_receipt_key").agg(
        F.array_sort(F.array_distinct(F.collect_list(F.when(fitting, line)))).alias("lines"),
        F.min(F.struct(F.col("_line").isNull(), "mismatch")).alias("told"),
        F.max(whole_receipt).alias("is_enough"),
        F.max("is_whole_key").alias("is_whole_key"),
        F.first(F.struct("business_date", "started_at", "units")).alias("of_return"),
    )
    best = F.coalesce(F.try_element_at("lines", F.lit(1))["rank"], F.lit(WHOLE_RECEIPT))
    score = F.when((F.size("lines") > 0) | F.col("is_enough"), F.struct(F.col("told.col1"), F.col("told.mismatch"), best))
    option = F.struct(score.alias("score"), "original_receipt_key", "lines", "is_whole_key")
    options = by_receipt.groupBy(*LINE).agg(
        F.filter(F.collect_list(option), lambda one: one["score"].isNotNull()).alias("options"),
        F.first("of_return").alias("of_return"),
    )
    least = F.array_min(F.transform("options", lambda one: one["score"]))
    chosen = options.withColumn("least", least).withColumn(
        "options", F.filter("options", lambda one: one["score"] == F.col("least"))
    )
    candidates = chosen.select(
        *LINE, "of_return.*",
        F.when(F.size("options") == 1, F.col("options")[0]["original_receipt_key"]).alias("original_receipt_key"),
        F.when(F.size("options") == 1, F.col("options")[0]["lines"]).alias("lines"),
        F.coalesce(F.try_element_at("options", F.lit(1))["is_whole_key"], F.lit(False)).alias("is_whole_key"),
        F.size("options").alias("candidate_count"),
    )  # fmt: skip
    taken = _take(
        candidates.where("size(lines) > 0").select(
            F.col("original_receipt_key").alias("group"), *ORDER, "units", "original_receipt_key", F.explode("lines").alias("_"),
        ).select("group", *ORDER, "units", "original_receipt_key", "_.line", "_.free", "_.rank", F.lit(True).alias("is_named"))
    ).drop("original_receipt_key", "candidate_count")  # fmt: skip
    joined = candidates.select(*LINE, "original_receipt_key", "is_whole_key", "candidate_count").join(
        taken, on=list(LINE), how="left"
    )
    is_linked = F.col("original_receipt_key").isNotNull()
    known = F.coalesce("rank", F.lit(WHOLE_RECEIPT))
    confidence = F.when(F.col("is_whole_key"), _evidence(REFERENCE, known, 1)).otherwise(F.lit(BY_PARTS))
    nothing_left = F.size("original_lines") == 0
    return joined.select(
        *LINE,
        "original_receipt_key",
        F.coalesce("original_lines", F.array().cast(_UNITS_OF_LINES)).alias("original_lines"),
        F.when(is_linked, REFERENCE).otherwise(NONE).alias("link_method"),
        F.when(is_linked, confidence).cast("DECIMAL(3,2)").alias("link_confidence"),
        F.when(F.col("candidate_count") == 0, NOT_FOUND)
        .when(~is_linked, SEVERAL)
        .when(F.coalesce(nothing_left, F.lit(False)), "nothing_left")
        .when(~F.col("is_whole_key"), PARTS)
        .otherwise(_evidence(REFERENCE, known, 0))
        .alias("evidence"),
        "candidate_count",
    )


# Without reference


def with_owners(receipts: DataFrame, payments: DataFrame | None) -> DataFrame:
    """Receipts with whom they are known to be of, by the columns of ``OWNERS``. ``receipts``: gold.fct_receipt.

    ``buyer_id``: the customer; where it is unclear which of several has bought, their loyalty card. ``payer_id``: the payment
    card; none where several paid. ``payments``: silver.receipt_payment; None where no card is told.
    """
    card = F.when(F.col("customer_status") == "unclear", F.col("party_key"))
    bought = receipts.withColumn("buyer_id", F.coalesce("customer_id", card))
    if payments is None:
        return bought.withColumn("payer_id", F.lit(None).cast("string"))
    told = payments.where("payment_token IS NOT NULL").groupBy("receipt_key")
    cards = told.agg(F.min("payment_token").alias("payer_id"), F.max("payment_token").alias("_last")).where("payer_id = _last")
    return bought.join(cards.drop("_last"), on="receipt_key", how="left")


def by_owner(
    returned: DataFrame, purchases: DataFrame, sold: DataFrame, taken: DataFrame, rules: ReturnRules, *, method: str
) -> DataFrame:
    """One row for each returned line, with what it takes of the only purchase of its owner that fits, if there is one.

    It fits if it has the product, was made at most ``window_days`` before, and has enough of it left; at the price of the
    return it fits better. ``method``: of ``OWNERS``; ``returned``: without reference; ``purchases``: of ``with_owners``;
    ``taken``: what others take of the sold lines (receipt_key, line_number, units).
    """
    owner = OWNERS[method]
    wanted = returned.where(f"{owner} IS NOT NULL AND product_id IS NOT NULL")
    receipts = purchases.where(f"{owner} IS NOT NULL").select(
        owner,
        F.col("receipt_key").alias("original_receipt_key"),
        F.col("business_date").alias("_sold_on"),
        F.col("started_at").alias("_sold_at"),
    )
    is_before = (F.col("_sold_on") < F.col("business_date")) | (F.col("_sold_at") < F.col("started_at"))
    in_window = F.datediff("business_date", "_sold_on").between(0, rules.window_days)
    bought = wanted.join(receipts, on=owner, how="inner").where(in_window & is_before)
    used = taken.groupBy(*LINE).agg(F.sum("units").alias("_used"))
    left = sold.join(used, on=list(LINE), how="left").withColumn(
        "units", F.greatest(F.lit(0), F.col("units") - F.coalesce("_used", F.lit(0)))
    )
    originals = _as_originals(left.drop("_used"))
    pairs = bought.join(originals, on=["original_receipt_key", "currency"], how="inner").where(
        _same_product() & F.col("has_quantity").eqNullSafe(F.col("_has_quantity"))
    )
    ranked = pairs.withColumn("rank", F.when(_same_price(), 0).otherwise(1))
    sure = [rank for rank, (_, confidence) in EVIDENCE[method].items() if confidence >= rules.least_confidence]
    group = F.concat_ws("\n", owner, "product_id")
    found = _take(
        ranked.where(F.col("rank").isin(*sure)).select(
            group.alias("group"), *ORDER, "units", "original_receipt_key", F.col("original_line").alias("line"),
            F.col("_units").alias("free"), "rank", F.lit(False).alias("is_named"),
        )
    )  # fmt: skip
    joined = returned.select(*LINE, "buyer_id").join(found, on=list(LINE), how="left")
    is_linked = F.col("original_receipt_key").isNotNull()
    count = F.coalesce("candidate_count", F.lit(0))
    return joined.select(
        *LINE,
        "original_receipt_key",
        F.coalesce("original_lines", F.array().cast(_UNITS_OF_LINES)).alias("original_lines"),
        F.when(is_linked, method).otherwise(NONE).alias("link_method"),
        F.when(is_linked, _evidence(method, F.col("rank"), 1)).cast("DECIMAL(3,2)").alias("link_confidence"),
        F.when(is_linked, _evidence(method, F.col("rank"), 0))
        .when(count > 1, SEVERAL_OF_CARD if method == PAYMENT_TOKEN else SEVERAL)
        .when(F.col("buyer_id").isNull(), NO_CUSTOMER)
        .otherwise(NOTHING_FOUND)
        .alias("evidence"),
        count.alias("candidate_count"),
    )


def _as_originals(sold: DataFrame) -> DataFrame:
    return sold.select(
        F.col("receipt_key").alias("original_receipt_key"),
        "currency",
        F.col("line_number").alias("original_line"),
        F.col("told_line_number").alias("_told_line_number"),
        F.col("product_id").alias("_product_id"),
        F.col("product_key").alias("_product_key"),
        F.col("has_quantity").alias("_has_quantity"),
        F.col("units").alias("_units"),
        F.col("sold_units").alias("_sold_units"),
        F.col("gross_amount").alias("_gross_amount"),
    )


def _same_product() -> Column:
    """The same product; without one, the same product group."""
    by_group = F.col("product_id").isNull() & F.col("product_key").eqNullSafe(F.col("_product_key"))
    return F.coalesce(F.col("product_id") == F.col("_product_id"), F.col("_product_id").isNull() & by_group)


def _same_price() -> Column:
    """A unit is paid back at what was paid for it, to the cent."""
    units = F.greatest(F.col("_sold_units"), F.lit(1)).cast("DOUBLE")
    paid = F.col("_gross_amount").cast("DOUBLE") * F.col("units").cast("DOUBLE") / units
    of_amounts = ~F.col("has_quantity")  # any part of an amount has its price
    return of_amounts | (F.abs(F.abs("gross_amount").cast("DOUBLE") - paid) < 0.0101)


def _evidence(method: str, rank: Column, place: int) -> Column:
    known = EVIDENCE[method].items()
    return F.try_element_at(F.create_map(*(F.lit(part) for key, value in known for part in (key, value[place]))), rank)


# Who takes what


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sold line that a return may be of. ``is_named``: the return names this receipt, and takes of it what there is."""

    returned: tuple[str, int]
    units: int
    receipt: str
    line: int
    free: int
    rank: int
    is_named: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """What a return takes of which lines, by the rank of the last of them; nothing where several purchases fit (``count``)."""

    returned: tuple[str, int]
    receipt: str | None
    lines: tuple[tuple[int, int], ...]
    rank: int
    count: int


def take(candidates: Iterable[Candidate]) -> Iterator[Taken]:
    """Returns of a group in their order, each with its candidates from the best on: it takes what those before it have left."""
    used: dict[tuple[str, int], int] = {}
    for returned, rows in groupby(candidates, key=lambda row: row.returned):
        free = [(row, row.free - used.get((row.receipt, row.line), 0)) for row in rows]
        first = free[0][0]
        ranks = dict.fromkeys((row.receipt for row, _ in free), first.rank)
        if not first.is_named:
            ranks = _enough(free, first.units)
        best = min(ranks.values(), default=first.rank)
        fitting = [receipt for receipt, rank in ranks.items() if rank == best]
        if len(fitting) != 1:
            yield Taken(returned, None, (), best, len(fitting))
            continue
        fits = [(row, left) for row, left in free if row.receipt == fitting[0]]
        lines, needed, rank = [], first.units, best
        if needed == 0:  # nothing was paid for it, and its quantity is not told
            lines = [(fits[0][0].line, 0)]
        for row, left in fits:
            part = min(left, needed)
            if part > 0:
                rank = row.rank
                used[row.receipt, row.line] = used.get((row.receipt, row.line), 0) + part
                needed -= part
                lines.append((row.line, part))
        yield Taken(returned, fitting[0], tuple(lines), rank, 1)


def _enough(free: Iterable[tuple[Candidate, int]], units: int) -> dict[str, int]:
    """Receipts of which enough is left, each with the rank of the last line that is needed for it."""
    found: dict[str, int] = {}
    sums: dict[str, int] = {}
    for row, left in free:
        if left > 0 and row.receipt not in found:
            sums[row.receipt] = sums.get(row.receipt, 0) + left
            if sums[row.receipt] >= units:
                found[row.receipt] = row.rank
    return found


def _take(pairs: DataFrame) -> DataFrame:
    """What each return takes. ``pairs``: group, ORDER, units, original_receipt_key, line, free, rank and is_named."""
    names = ["group", *LINE, "units", "original_receipt_key", "line", "free", "rank", "is_named"]
    in_order = (
        pairs.repartition("group").sortWithinPartitions("group", *ORDER, "rank", "original_receipt_key", "line").select(*names)
    )
    return in_order.mapInArrow(_take_batches, _TAKEN)


def _take_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = (row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    of_groups = (
        taken
        for _, group in groupby(rows, key=lambda row: row[0])
        for taken in take(Candidate((row[1], row[2]), *row[3:]) for row in group)
    )
    while found := list(islice(of_groups, 10_000)):
        yield _to_batch(found)


def _to_batch(found: Sequence[Taken]) -> pa.RecordBatch:
    line = pa.struct([("line_number", pa.int32()), ("units", pa.int64())])
    lines = [[{"line_number": number, "units": units} for number, units in taken.lines] for taken in found]
    columns = {
        "receipt_key": pa.array([taken.returned[0] for taken in found], pa.string()),
        "line_number": pa.array([taken.returned[1] for taken in found], pa.int32()),
        "original_receipt_key": pa.array([taken.receipt for taken in found], pa.string()),
        "original_lines": pa.array(lines, pa.list_(line)),
        "rank": pa.array([taken.rank for taken in found], pa.int32()),
        "candidate_count": pa.array([taken.count for taken in found], pa.int32()),
    }
    return pa.RecordBatch.from_pydict(columns)


# All together


def to_links(
    returned: DataFrame, purchases: DataFrame, sold: DataFrame, referred: DataFrame, rules: ReturnRules, *, taken: DataFrame
) -> DataFrame:
    """One row for each returned line with its link: ``LINE``, original_receipt_key, original_lines, and what it rests on.

    ``returned``: as in gold.fct_return; ``purchases``: of ``with_owners``; ``sold``: what can be returned, of ``to_goods``;
    ``referred``: of ``to_referred`` and ``by_parts``; ``taken``: what other returns take (receipt_key, line_number, units).
    """
    known, stock = _known(returned, purchases), sold.where("NOT is_return")
    named = by_reference(known, referred, stock, rules)
    others = known.join(named, on=list(LINE), how="left_anti")
    guessed = by_owner(others, purchases, stock, to_taken(named).unionByName(taken), rules, method=CUSTOMER_PRODUCT)
    return named.unionByName(guessed)


def with_links_of_cards(
    links: DataFrame, returned: DataFrame, purchases: DataFrame, sold: DataFrame, rules: ReturnRules, *, taken: DataFrame
) -> DataFrame:
    """Links of ``to_links``, and by payment card for those of ``returned`` that neither reference nor customer explains.

    They take of what all others leave. The other arguments are those of ``to_links``.
    """
    settled = links.where(~F.col("evidence").isin(NO_CUSTOMER, NOTHING_FOUND))
    others = _known(returned, purchases).join(settled, on=list(LINE), how="left_anti")
    left = to_taken(settled).unionByName(taken)
    return settled.unionByName(by_owner(others, purchases, sold.where("NOT is_return"), left, rules, method=PAYMENT_TOKEN))


def _known(returned: DataFrame, purchases: DataFrame) -> DataFrame:
    """Returned lines with what their receipt tells of them."""
    heads = purchases.select("receipt_key", "started_at", *OWNERS.values())
    return returned.transform(with_units).join(heads, on="receipt_key", how="inner")


def to_taken(links: DataFrame) -> DataFrame:
    """What links take of the lines of purchases: receipt_key, line_number and units."""
    return links.select(F.col("original_receipt_key").alias("receipt_key"), F.explode("original_lines").alias("_")).select(
        "receipt_key", "_.line_number", "_.units"
    )


def to_fct_return(returned: DataFrame, links: DataFrame, purchases: DataFrame) -> DataFrame:
    """Returned lines with their links and what is known of the purchase."""
    originals = purchases.select(
        F.col("receipt_key").alias("original_receipt_key"),
        F.col("branch_id").alias("original_branch_id"),
        F.col("business_date").alias("original_date"),
    )
    most = F.array_max(F.transform("original_lines", lambda line: F.struct(line["units"], -line["line_number"])))
    lines = F.transform(
        "original_lines",
        lambda line: F.struct(
            line["line_number"].alias("line_number"), (line["units"] / UNIT).cast("DECIMAL(18,3)").alias("quantity")
        ),
    )
    joined = returned.join(links, on=list(LINE), how="inner").join(originals, on="original_receipt_key", how="left")
    return FCT_RETURN.conform(
        joined.withColumns(
            {
                "original_line_number": -most["col2"],
                "original_lines": F.when(F.col("original_receipt_key").isNotNull(), lines).cast(_LINES),
                "days_to_return": F.datediff("business_date", "original_date"),
            }
        )
    )


def to_return_status(returns: DataFrame, sold: DataFrame) -> DataFrame:
    """Receipts of which something came back: ``partial``, or ``full`` where all goods did, or all that was paid for them.

    ``returns``: gold.fct_return, all links of the receipts asked for; ``sold``: goods of ``to_goods``.
    """
    linked = returns.where("original_receipt_key IS NOT NULL")
    back = linked.groupBy(F.col("original_receipt_key").alias("receipt_key")).agg(
        (-F.sum("gross_amount")).alias("_back"), F.flatten(F.collect_list("original_lines")).alias("_lines")
    )
    goods = (
        sold.where("NOT is_return")
        .join(back.select("receipt_key"), on="receipt_key", how="left_semi")
        .groupBy("receipt_key")
        .agg(F.sum("units").alias("_units"), F.sum("gross_amount").alias("_paid"))
    )
    units = F.aggregate(
        "_lines",
        F.lit(0).cast("BIGINT"),
        lambda sum_, line: sum_ + (line["quantity"] * UNIT).cast("BIGINT"),
    )
    is_full = (units >= F.col("_units")) | (F.col("_back") >= F.col("_paid"))
    joined = back.join(goods, on="receipt_key", how="left")
    return joined.select(
        "receipt_key", F.when(F.coalesce(is_full, F.lit(False)), "full").otherwise("partial").alias("return_status")
    )
