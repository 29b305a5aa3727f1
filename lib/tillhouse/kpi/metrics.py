"""Every KPI once: its formula, meaning and unit. The metric view, the KPI tables and the dictionary are made from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VIEW = "gold.sales"


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something that figures can be grouped by."""

    name: str
    expr: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure over any group of receipts. ``expr`` is Spark SQL over the rows of ``SOURCE``; amounts include VAT."""

    name: str
    number: str
    unit: Literal["money", "count", "pieces", "ratio"]
    expr: str
    meaning: str


# One row per valid receipt with its branch, customer and date as they were on its day.
SOURCE = """
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
)

_REVENUE = "SUM(revenue_amount)"
_RETURNS = "SUM(return_amount)"
_BEFORE_RETURNS = "SUM(revenue_amount + return_amount)"
_BASKETS = "COUNT_IF(is_basket)"
_ITEMS = "SUM(sold_item_count)"
_CUSTOMERS = "COUNT(DISTINCT CASE WHEN is_basket THEN customer_id END)"
_NEW = "COUNT(DISTINCT CASE WHEN receipt_key = first_purchase_receipt_key THEN customer_id END)"
_IDENTIFIED = "SUM(CASE WHEN customer_status = 'identified' THEN revenue_amount ELSE 0 END)"
_WITH_LINES = "SUM(CASE WHEN detail_level = 'lines' THEN revenue_amount ELSE 0 END)"


def _ratio(numerator: str, denominator: str) -> str:
    """NULL where the denominator is 0."""
    return f"CAST({numerator} / NULLIF({denominator}, 0) AS DECIMAL(28,12))"


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
    Measure("receipts", "4", "count", "COUNT_IF(is_receipt)", "Valid receipts; a day total is none."),
    Measure("baskets", "4", "count", _BASKETS, "Purchases: sales and exchanges in which goods were sold."),
    Measure("items", "6", "pieces", _ITEMS, "Pieces sold; a line by weight or volume counts one."),
    Measure("average_basket", "5", "money", _ratio(_BEFORE_RETURNS, _BASKETS), "Sales before returns per basket."),
    Measure("items_per_basket", "6", "pieces", _ratio(_ITEMS, _BASKETS), "Pieces sold per basket."),
    Measure("customers", "8", "count", _CUSTOMERS, "Distinct identified customers with a purchase."),
    Measure("new_customers", "8", "count", _NEW, "Customers whose first purchase in the whole chain is among these."),
    Measure("returning_customers", "8", "count", f"{_CUSTOMERS} - {_NEW}", "The other identified customers."),
    Measure("identified_revenue", "7", "money", _IDENTIFIED, "Revenue of receipts with a customer."),
    Measure("identified_share", "7", "ratio", _ratio(_IDENTIFIED, _REVENUE), "Share of revenue with a customer."),
    Measure(
        "revenue_per_customer",
        "7",
        "money",
        _ratio(_IDENTIFIED, _CUSTOMERS),
        "Revenue of identified receipts per identified customer.",
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
)


def view_definition() -> str:
    """The metric view in Spark's YAML."""
    lines = ["version: 0.1", "source: >-", *(f"  {line}" for line in SOURCE.strip().splitlines()), "dimensions:"]
    for item in (*DIMENSIONS, *MEASURES):
        if item is MEASURES[0]:
            lines.append("measures:")
        lines += [f"  - name: {item.name}", f"    expr: {_quoted(item.expr)}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def measure(name: str) -> Measure | None:
    return next((item for item in MEASURES if item.name == name), None)
