"""The contracts of the figures about customers, and the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from contract_docs import to_columns

from tillhouse.insight.rules import FILE, InsightRules
from tillhouse.tables import Table
from tillhouse.tables.gold_repurchase import TABLES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "customers.md").read_text("utf-8")
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)
# What BI, notebooks and checks rely on.
PUBLIC = {
    "kpi_repurchase": "as_of dimension member window_days buyers repeat_buyers repurchase_rate median_days_to_next "
    "mean_days_to_next p90_days_to_next open_gaps",
    "kpi_cohort": "as_of dimension member cohort_month month_number cohort_size active_customers retention revenue",
    "kpi_retention": "as_of dimension member from_period to_period active_before active_both retention_rate churn_rate",
    "kpi_conversion": "as_of dimension member contacts converted open mean_days median_days p90_days",
    "product_affinity": "as_of product_a product_b receipts_both support confidence lift",
}


@each_table
def test_public_columns_are_there_and_keys_are_columns(table: Table) -> None:
    assert {*PUBLIC[table.name].split(), *table.key, *table.sort_by} <= {column.name for column in to_columns(table)}
    assert table.grain.startswith("one row per ")


@each_table
def test_columns_are_commented_exact_and_money_has_a_currency(table: Table) -> None:
    columns = to_columns(table)
    assert not [column.name for column in columns if not column.comment]
    assert not [column.name for column in columns if re.search("DOUBLE|FLOAT", column.type)]
    names = {column.name for column in columns}
    assert "revenue" not in names or "currency" in names


@each_table
def test_the_page_explains_each_table(table: Table) -> None:
    assert f"`{table.full_name}`" in PAGE


def test_the_conf_that_the_page_shows_is_what_holds_without_a_file() -> None:
    [shown] = re.findall(rf"^```yaml\n# conf/{FILE}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert InsightRules.model_validate(yaml.safe_load(shown)) == InsightRules()
    assert set(yaml.safe_load(shown)) <= set(InsightRules.model_fields)


def test_the_columns_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", PAGE))
    known = {column.name for table in TABLES for column in to_columns(table)} | set(InsightRules.model_fields)
    known |= {
        "minimum_baskets",
        "minimum_pairs",
        "category_l2",
        "category_l3",
        "customer_type",
        "product_line",
        "identified_share",
    }
    assert named - known == set()
