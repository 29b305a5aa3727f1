"""Facts: valid receipts and their lines, with the measures of KPIs 1 to 6 as additive columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.gold.bundles import SET, with_bundles_exploded
from tillhouse.gold.customers import with_customer_key
from tillhouse.gold.history import BRANCH, PRODUCT, member_key, with_version_key
from tillhouse.gold.product_groups import with_group_keys
from tillhouse.money import with_largest_remainder
from tillhouse.products.rules import ProductRules
from tillhouse.sources.fields import GOODS, REVENUE_LINE_TYPES
from tillhouse.tables.gold import FCT_RECEIPT, FCT_SALE_LINE
from tillhouse.tables.line_parts import IS_SOLD, LINE_PARTS

RULES_VERSION = 4
VALID = "status = 'FINAL' AND transaction_type IN ('SALE', 'RETURN', 'EXCHANGE')"
_SPREAD = ("gross_amount", "tax_amount", "discount_amount")


def to_sale_lines(
    lines: DataFrame,
    receipts: DataFrame,
    products: DataFrame,
    rules: ProductRules,
    *,
    shares: DataFrame | None = None,
    categories: DataFrame | None = None,
) -> DataFrame:
    """One row per line of a valid receipt, receipt-level discounts allocated to the goods, then sets divided.

    ``lines``, ``receipts``: silver; ``products``: gold.dim_product, of which the version of the line's day is its product, and
    the one that holds now tells whether it is counted by line; ``shares``: of sets that are exploded;
    ``categories``: silver.category; both only where there are any.
    """
    valid = lines.join(receipts.where(f"NOT ({VALID})").select("receipt_key"), on="receipt_key", how="left_anti")
    facts = valid.withColumns(_flags())
    has_discount = facts.where("line_type = 'DISCOUNT'").select("receipt_key").distinct()
    plain = facts.join(has_discount, on="receipt_key", how="left_anti")
    discounted = facts.join(has_discount, on="receipt_key", how="left_semi")
    allocated = plain.unionByName(discounted.transform(with_parents_nature).transform(with_allocated_discounts))
    if shares is None:
        allocated = allocated.withColumn("bundle_role", F.lit(None).cast("string"))
    else:
        allocated = allocated.transform(with_bundles_exploded, shares)
    joined = allocated.withColumn("product_id", F.col("product_ref")).transform(with_version_key, products, PRODUCT)
    joined = joined.transform(_with_measured, products.where("is_current"), rules)
    if categories is not None:
        joined = joined.transform(with_group_keys, categories, rules)
    return FCT_SALE_LINE.conform(joined.withColumns({"item_count": _item_count(rules.piece_units)}))


def is_measured(rules: ProductRules) -> Column:
    """Whether a line of a product counts as one item whatever its quantity, by the product groups of conf."""
    levels = [F.coalesce(F.col(level).isin(*names), F.lit(False)) for level, names in rules.counted_by_line.items()]
    return reduce(lambda left, right: left | right, levels, F.lit(False))


def _with_measured(lines: DataFrame, products: DataFrame, rules: ProductRules) -> DataFrame:
    if not rules.counted_by_line:
        return lines.withColumn("_is_measured", F.lit(False))
    measured = products.where(is_measured(rules)).select("product_id", F.lit(True).alias("_is_measured"))
    return lines.join(F.broadcast(measured), on="product_id", how="left")


def is_negative() -> Column:
    """Whether a line takes back: by its amount, or by its quantity where it is worth nothing."""
    by_quantity = F.coalesce(F.col("quantity") < 0, F.lit(False))
    return F.when(F.col("gross_amount") != 0, F.col("gross_amount") < 0).otherwise(by_quantity)


def _flags() -> dict[str, Column]:
    is_live_goods = F.col("line_type").isin(*GOODS) & ~F.col("is_voided") & ~F.col("is_void")
    return {
        "is_revenue": F.col("line_type").isin(*REVENUE_LINE_TYPES),
        "is_return": is_live_goods & is_negative(),
        "discount_amount": F.when(F.col("line_type") == "DISCOUNT", -F.col("gross_amount"))
        .otherwise(F.col("discount_amount"))
        .cast("DECIMAL(18,2)"),
    }


def _item_count(piece_units: Sequence[str]) -> Column:
    """Pieces, signed. A line by weight, volume or of a group counted by line is one item; totals have no items."""
    is_piece = F.col("unit").isNull() | F.lower("unit").isin(*(unit.lower() for unit in piece_units))
    by_line = F.coalesce(F.col("_is_measured"), F.lit(False)) | ~is_piece
    direction = F.when(F.coalesce(F.signum("gross_amount"), F.signum("quantity")) < 0, -1).otherwise(1)
    pieces = F.when(by_line, direction).otherwise(F.coalesce("quantity", F.lit(0)))
    is_parent = F.coalesce(F.col("bundle_role") == SET, F.lit(False))  # what is in the set is counted
    is_item = (F.col("line_type") == "ITEM") & ~F.col("is_voided") & ~is_parent
    return F.when(is_item, pieces).otherwise(0).cast("DECIMAL(18,3)")


def with_parents_nature(lines: DataFrame) -> DataFrame:
    """A discount on a line is of that line's product, and lowers returns where the line is a return."""
    discount = F.col("line_type") == "DISCOUNT"
    whole = Window.partitionBy("receipt_key")
    every = F.collect_list(F.struct("line_number", "product_ref", "is_return", "line_type")).over(whole)
    parents = F.filter(every, lambda line: (line["line_number"] == F.col("parent_line_number")) & line["line_type"].isin(*GOODS))
    parent = F.try_element_at(parents, F.lit(1))
    return lines.withColumn("_parent", parent).withColumns(
        {
            "_has_parent": F.col("_parent").isNotNull(),
            "product_ref": F.when(discount & F.col("_parent").isNotNull(), F.col("_parent.product_ref")).otherwise(
                F.col("product_ref")
            ),
            "is_return": F.when(discount & F.col("_parent").isNotNull(), F.col("_parent.is_return")).otherwise(
                F.col("is_return")
            ),
        }
    ).drop("_parent")  # fmt: skip


def with_allocated_discounts(lines: DataFrame) -> DataFrame:
    """Spread discounts on the whole receipt over its goods, pro rata and to the cent.

    A negative discount lowers the sold goods, a positive one (a reversal) the returned goods. The discount's own line stays
    with ``is_revenue`` false, so that the sum over revenue lines is unchanged. Without goods to lower it stays revenue.
    """
    is_loose = (F.col("line_type") == "DISCOUNT") & ~F.col("_has_parent")
    is_goods = F.col("line_type").isin(*GOODS) & ~F.col("is_voided") & ~F.col("is_void")
    side = Window.partitionBy("receipt_key", "_lowers_returns")
    weighed = lines.withColumns(
        {
            "_lowers_returns": F.when(is_loose, F.col("gross_amount") > 0).otherwise(F.col("is_return")),
            "_weight": F.when(is_goods, F.abs("gross_amount")),
        }
    )
    weighed = weighed.withColumn("_total", F.sum("_weight").over(side))
    result = weighed.withColumn("_is_spread", is_loose & F.coalesce(F.col("_total") > 0, F.lit(False)))
    for amount in _SPREAD:
        to_spread = F.sum(F.when(F.col("_is_spread"), F.col(amount))).over(side)
        part = F.coalesce(to_spread * F.col("_weight") / F.col("_total"), F.lit(0)).cast("DECIMAL(38,12)")
        result = result.withColumn(f"_{amount}_part", F.when(F.col("_total") > 0, part).otherwise(0).cast("DECIMAL(38,12)"))
    for amount in _SPREAD:
        result = result.transform(with_largest_remainder, ["receipt_key", "_lowers_returns"], f"_{amount}_part", ["line_number"])
    changed = {amount: (F.col(amount) + F.col(f"_{amount}_part")).cast("DECIMAL(18,2)") for amount in _SPREAD}
    changed["discount_amount"] = F.when(F.col("_is_spread"), 0).otherwise(changed["discount_amount"]).cast("DECIMAL(18,2)")
    changed["is_revenue"] = F.col("is_revenue") & ~F.col("_is_spread")
    has_part = F.col("_gross_amount_part") != 0
    changed["net_amount"] = F.when(has_part, changed["gross_amount"] - changed["tax_amount"]).otherwise(F.col("net_amount"))
    changed["net_amount"] = changed["net_amount"].cast("DECIMAL(18,2)")
    return result.withColumns(changed).select(*[name for name in lines.columns if name != "_has_parent"])


def to_fct_receipts(
    receipts: DataFrame,
    sale_lines: DataFrame,
    payments: DataFrame,
    party_customers: DataFrame,
    no_customer: NoCustomer,
    *,
    branches: DataFrame,
    customers: DataFrame | None = None,
) -> DataFrame:
    """One row per valid receipt with its branch and its customer as they were on the day, and the sums of its lines.

    ``sale_lines``: gold.fct_sale_line; ``party_customers``: silver.party_customer, of which the rows that hold count;
    ``branches``: gold.dim_branch; ``customers``: versions of those that a contact tells of.
    """
    valid = party_customers.where("valid_to_run IS NULL").select("party_key", "customer_id")
    tenders = payments.groupBy("receipt_key").agg(F.array_sort(F.collect_set("tender_type")).alias("payment_types"))
    joined = (
        receipts.where(VALID)
        .drop("discount_amount")
        .join(_sums(sale_lines), on="receipt_key", how="inner")
        .join(valid, on="party_key", how="left")
        .join(tenders, on="receipt_key", how="left")
        .transform(no_customer.without)
        .transform(with_version_key, branches, BRANCH)
        .transform(with_customer_key, customers)
    )
    is_receipt = ~F.col("is_day_total")
    is_purchase = F.col("transaction_type").isin("SALE", "EXCHANGE") & F.col("_has_sold") & is_receipt
    return FCT_RECEIPT.conform(
        joined.withColumns(
            {
                "branch_key": F.coalesce("branch_key", member_key("branch_id")),
                "return_status": F.lit("none"),
                "payment_types": F.coalesce("payment_types", F.array().cast("array<string>")),
                "is_basket": is_purchase,
                "is_receipt": is_receipt,
            }
        )
    )


@dataclass(frozen=True)
class NoCustomer:
    """Receipts of no customer: those of ``unclear`` parties (party_key), and ``detached`` ones (receipt_key); None for none.

    A party without customer that is not unclear is a till's own card: its receipts are anonymous like those without a party.
    """

    unclear: DataFrame | None = None
    detached: DataFrame | None = None

    def without(self, receipts: DataFrame) -> DataFrame:
        """Receipts with ``customer_status``, and without the customer where a person has detached them."""
        is_unclear, is_detached = F.lit(False), F.lit(False)
        if self.unclear is not None:
            unclear = self.unclear.select("party_key", F.lit(True).alias("_is_unclear"))
            receipts = receipts.join(F.broadcast(unclear), on="party_key", how="left")
            is_unclear = F.coalesce("_is_unclear", F.lit(False))
        if self.detached is not None:
            detached = self.detached.select("receipt_key", F.lit(True).alias("_is_detached"))
            receipts = receipts.join(F.broadcast(detached), on="receipt_key", how="left")
            is_detached = F.coalesce("_is_detached", F.lit(False))
        customer = F.when(~is_detached, F.col("customer_id"))
        status = F.when(customer.isNotNull(), "identified").when(is_unclear & ~is_detached, "unclear").otherwise("anonymous")
        return receipts.withColumns({"customer_id": customer, "customer_status": status})


def _sums(sale_lines: DataFrame) -> DataFrame:
    sums = {name: F.sum(F.expr(part)) for name, part in LINE_PARTS.items()}
    known_net = F.count(F.expr(LINE_PARTS["revenue_excl_tax_amount"]))
    sums["revenue_excl_tax_amount"] = F.when(known_net == F.count("*"), sums["revenue_excl_tax_amount"])
    types = {name: "DECIMAL(18,3)" if name.endswith("_count") else "DECIMAL(18,2)" for name in sums}
    return sale_lines.groupBy("receipt_key").agg(
        *(column.cast(types[name]).alias(name) for name, column in sums.items()),
        F.max(F.expr(IS_SOLD)).alias("_has_sold"),
    )
