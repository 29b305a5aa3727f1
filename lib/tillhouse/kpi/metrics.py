"""Every KPI once: its formula, meaning and unit. The metric view, the KPI tables and the dictionary are made from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tillhouse.tables import Table, gold
from tillhouse.tables.line_parts import IS_SOLD, LINE_PARTS


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something that figures can be grouped by."""

    name: str
    expr: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure over any group of rows. ``expr`` is Spark SQL over the columns of a view's source; amounts include VAT.

    ``holds_on``: a figure that lines add up to holds on receipts and on lines, by one formula. What counts receipts or customers
    does not add up over products: a basket of several would count for each of them.
    """

    name: str
    number: str
    unit: Literal["money", "count", "pieces", "ratio", "date"]
    expr: str
    meaning: str
    holds_on: Literal["both", "receipts", "lines"] = "both"


@dataclass(frozen=True, slots=True)
class View:
    """A metric view: a query over tables of gold, and the dimensions and measures over its rows."""

    name: str
    rows: str
    source: str
    tables: tuple[Table, ...]
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]

    @property
    def definition(self) -> str:
        """The view in Spark's YAML."""
        lines = ["version: 0.1", "source: >-", *(f"  {line}" for line in self.source.strip().splitlines())]
        for kind, items in (("dimensions", self.dimensions), ("measures", self.measures)):
            lines.append(f"{kind}:")
            for item in items:
                lines += [f"  - name: {item.name}", f"    expr: {_quoted(item.expr)}"]
        return "\n".join(lines) + "\n"


_SOURCE = """
SELECT r.*, b.branch_name, b.region, b.format, c.customer_type, c.first_purchase_receipt_key, d.iso_year, d.iso_week, d.weekday
FROM gold.fct_receipt r
JOIN gold.dim_branch b ON r.branch_key = b.branch_key
JOIN gold.dim_date d ON r.business_date = d.date
LEFT JOIN gold.dim_customer c ON r.customer_key = c.customer_key
"""

DIMENSIONS = (
    Dimension("branch_id", "branch_id", "branch"),
    Dimension("branch_name", "branch_name", "name of the branch"),
    Dimension("region", "region", "region of the branch on the day of the receipt"),
    Dimension("format", "format", "store format"),
    Dimension("business_date", "business_date", "trading day of the branch"),
    Dimension("week", "concat(iso_year, '-W', lpad(iso_week, 2, '0'))", "ISO 8601 week of the trading day"),
    Dimension("month", "_month", "month of the trading day, yyyy-MM"),
    Dimension("weekday", "weekday", "1 Monday .. 7 Sunday"),
    Dimension("hour", "local_hour", "hour of the day in the branch"),
    Dimension("currency", "currency", "ISO 4217; group by it where a lake has several"),
    Dimension("customer_id", "customer_id", "the customer, NULL unless identified; its revenue is KPI 10"),
    Dimension("customer_type", "customer_type", "B2C or B2B"),
    Dimension("customer_status", "customer_status", "identified, anonymous, unclear or erased"),
    Dimension("channel", "channel", "order channel"),
    Dimension("fulfilment", "fulfilment", "store, pickup or ship"),
    Dimension("team", "team", "team or department"),
    Dimension("register", "register_id", "till"),
    Dimension("transaction_type", "transaction_type", "SALE, RETURN or EXCHANGE"),
    Dimension(
        "payment_type",
        "CASE WHEN size(payment_types) = 1 THEN payment_types[0] WHEN size(payment_types) > 1 THEN 'mixed' END",
        "the tender type of the receipt, mixed where it has several",
    ),
    Dimension("source", "source", "source that delivered the receipt"),
    Dimension("receipt_key", "receipt_key", "the single receipt"),
)
PRODUCT_DIMENSIONS = (
    Dimension("category_l1", "category_l1", "product group, level 1"),
    Dimension("category_l2", "category_l2", "product group, level 2"),
    Dimension("category_l3", "category_l3", "product group, level 3"),
    Dimension("product_line", "product_line", "product line"),
    Dimension("brand", "brand", "brand"),
    Dimension("product_id", "product_id", "product"),
    Dimension("product_name", "product_name", "name of the product"),
)

_REVENUE = "SUM(revenue_amount)"
_RETURNS = "SUM(return_amount)"
_BEFORE_RETURNS = "SUM(revenue_amount + return_amount)"
_BASKETS = "COUNT_IF(is_basket)"
_ITEMS = "SUM(sold_item_count)"
_RETURNED_ITEMS = "SUM(sold_item_count - item_count)"
_CUSTOMERS = "COUNT(DISTINCT CASE WHEN is_basket THEN customer_id END)"
_NEW = "COUNT(DISTINCT CASE WHEN receipt_key = first_purchase_receipt_key THEN customer_id END)"
_IDENTIFIED = "SUM(CASE WHEN customer_status = 'identified' THEN revenue_amount ELSE 0 END)"
_WITH_LINES = "SUM(CASE WHEN detail_level = 'lines' THEN revenue_amount ELSE 0 END)"


def _ratio(numerator: str, denominator: str) -> str:
    """NULL where the denominator is 0. A sum is typed so widely that its quotient would have nine decimals only."""
    return f"CAST(CAST({numerator} AS DECIMAL(24,3)) / NULLIF({denominator}, 0) AS DECIMAL(28,12))"


MEASURES = (
    Measure("revenue", "1", "money", _REVENUE, "Signed sum of all revenue lines of valid receipts; may be negative."),
    Measure(
        "revenue_excl_tax",
        "1",
        "money",
        "CASE WHEN COUNT(revenue_excl_tax_amount) = COUNT(1) THEN SUM(revenue_excl_tax_amount) END",
        "Revenue without VAT; NULL where a source delivers no VAT.",
    ),
    Measure("return_amount", "2", "money", _RETURNS, "Returned goods on the day of the return, as a positive amount."),
    Measure("sales_before_returns", "3", "money", _BEFORE_RETURNS, "Revenue plus returns."),
    Measure("receipts", "4", "count", "COUNT_IF(is_receipt)", "Valid receipts; a day total is none.", "receipts"),
    Measure("baskets", "4", "count", _BASKETS, "Purchases: sales and exchanges in which goods were sold.", "receipts"),
    Measure("items", "6", "pieces", _ITEMS, "Pieces sold; a line by weight or volume counts one."),
    Measure("average_basket", "5", "money", _ratio(_BEFORE_RETURNS, _BASKETS), "Sales before returns per basket.", "receipts"),
    Measure("items_per_basket", "6", "pieces", _ratio(_ITEMS, _BASKETS), "Pieces sold per basket.", "receipts"),
    Measure("customers", "8", "count", _CUSTOMERS, "Distinct identified customers with a purchase.", "receipts"),
    Measure("new_customers", "8", "count", _NEW, "Customers whose first purchase in the whole chain is among these.", "receipts"),
    Measure("returning_customers", "8", "count", f"{_CUSTOMERS} - {_NEW}", "The other identified customers.", "receipts"),
    Measure(
        "purchase_dates",
        "8",
        "count",
        "COUNT(DISTINCT CASE WHEN is_basket THEN business_date END)",
        "Distinct trading days with a purchase; of a customer, beside baskets, the frequency of its purchases.",
        "receipts",
    ),
    Measure(
        "last_purchase_date",
        "9",
        "date",
        "MAX(CASE WHEN is_basket THEN business_date END)",
        "Last trading day with a purchase, which a return is not; of a customer, the days since then are its inactivity.",
        "receipts",
    ),
    Measure("identified_revenue", "7", "money", _IDENTIFIED, "Revenue of receipts with a customer."),
    Measure("identified_share", "7", "ratio", _ratio(_IDENTIFIED, _REVENUE), "Share of revenue with a customer."),
    Measure(
        "revenue_per_customer",
        "7",
        "money",
        _ratio(_IDENTIFIED, _CUSTOMERS),
        "Revenue of identified receipts per identified customer.",
        "receipts",
    ),
    Measure(
        "unclear_amount",
        "7",
        "money",
        "SUM(CASE WHEN customer_status = 'unclear' THEN revenue_amount ELSE 0 END)",
        "Revenue of receipts whose identifiers point to two customers.",
    ),
    Measure("lines_revenue", "-", "money", _WITH_LINES, "Revenue of receipts that were delivered with their lines."),
    Measure("lines_share", "-", "ratio", _ratio(_WITH_LINES, _REVENUE), "Share of revenue delivered with lines."),
    Measure("discount_amount", "-", "money", "SUM(discount_amount)", "Discounts on revenue lines; positive on sales."),
    Measure("return_rate", "19", "ratio", _ratio(_RETURNS, _BEFORE_RETURNS), "Returns per sales before returns."),
    Measure("returned_items", "19", "pieces", _RETURNED_ITEMS, "Pieces returned; a line by weight or volume counts one."),
    Measure("item_return_rate", "19", "ratio", _ratio(_RETURNED_ITEMS, _ITEMS), "Pieces returned per piece sold."),
)
PRODUCT_MEASURES = (
    Measure(
        "baskets_with",
        "4",
        "count",
        "COUNT(DISTINCT CASE WHEN is_basket AND is_sold THEN receipt_key END)",
        "Purchases in which such goods were sold. One with several products counts for each of them: never add these up.",
        "lines",
    ),
    Measure(
        "buyers",
        "8",
        "count",
        "COUNT(DISTINCT CASE WHEN is_basket AND is_sold THEN customer_id END)",
        "Distinct identified customers who bought such goods; never add these up.",
        "lines",
    ),
)
# What to ask by product in place of a measure that does not hold there.
INSTEAD = {"baskets": "baskets_with", "receipts": "baskets_with", "customers": "buyers"}


_OF_LINES = ",\n  ".join(f"{part} AS {name}" for name, part in LINE_PARTS.items())
# Days, months and branches of lines are those of their receipts: Spark skips the files of both by a condition on one.
_LINE_SOURCE = f"""
SELECT r.* EXCEPT ({", ".join(LINE_PARTS)}), l.* EXCEPT (receipt_key, branch_id, business_date, _month),
  p.category_l1, p.category_l2, p.category_l3, p.product_line, p.brand, p.product_name
FROM ({_SOURCE.strip()}) r
JOIN (
  SELECT receipt_key, branch_id, business_date, _month, product_key, product_id, {IS_SOLD} AS is_sold,
  {_OF_LINES}
  FROM gold.fct_sale_line
) l ON r.receipt_key = l.receipt_key AND r.branch_id = l.branch_id AND r.business_date = l.business_date AND r._month = l._month
LEFT JOIN gold.dim_product p ON l.product_key = p.product_key
"""  # noqa: S608 - put together from the texts above

RECEIPTS = View(
    name="gold.sales",
    rows="one row per valid receipt with its branch, customer and date as they were on its day",
    source=_SOURCE,
    tables=(gold.FCT_RECEIPT, gold.DIM_BRANCH, gold.DIM_CUSTOMER, gold.DIM_DATE),
    dimensions=DIMENSIONS,
    measures=MEASURES,
)
LINES = View(
    name="gold.sales_line",
    rows="one row per line of a valid receipt, with its product, and all that is known of its receipt",
    source=_LINE_SOURCE,
    tables=(*RECEIPTS.tables, gold.FCT_SALE_LINE, gold.DIM_PRODUCT),
    dimensions=(*DIMENSIONS, *PRODUCT_DIMENSIONS),
    measures=(*(item for item in MEASURES if item.holds_on == "both"), *PRODUCT_MEASURES),
)
VIEWS = (RECEIPTS, LINES)
ALL_MEASURES = (*MEASURES, *PRODUCT_MEASURES)
ALL_DIMENSIONS = (*DIMENSIONS, *PRODUCT_DIMENSIONS)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def measure(name: str) -> Measure | None:
    return next((item for item in ALL_MEASURES if item.name == name), None)
