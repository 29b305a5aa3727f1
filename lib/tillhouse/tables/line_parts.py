"""What a line of gold.fct_sale_line adds to the figures of its receipt: said once, for the receipt and for any group of lines."""

from __future__ import annotations

from tillhouse.sources.fields import GOODS

_GOODS = ", ".join(f"'{kind}'" for kind in GOODS)

# Spark SQL over one line. What is returned is positive.
LINE_PARTS = {
    "revenue_amount": "CASE WHEN is_revenue THEN gross_amount ELSE 0 END",
    "revenue_excl_tax_amount": "CASE WHEN is_revenue THEN net_amount ELSE 0 END",  # NULL where a revenue line does not say
    "return_amount": "CASE WHEN is_return AND is_revenue THEN -gross_amount ELSE 0 END",
    "discount_amount": "CASE WHEN is_revenue THEN discount_amount ELSE 0 END",
    "sold_item_count": "CASE WHEN is_return THEN 0 ELSE item_count END",
    "item_count": "item_count",
}
IS_SOLD = f"line_type IN ({_GOODS}) AND NOT is_voided AND NOT is_return"
