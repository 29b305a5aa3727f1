#!/usr/bin/env python3
"""Write the pages of docs/ from the code: tables, KPIs, rules and the mapping language.

``--check`` writes nothing and tells which pages differ. Where a published column changes, nothing is written without a
``--reason``. Needs neither Spark nor a lake.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import connector_docs
import contract_docs
from contract_docs import TABLES, TableColumn, reference_of, to_columns, unit_of
from pydantic import BaseModel

from tillhouse.config import LakeFile
from tillhouse.gold.calendar import Calendar, RegionHolidays
from tillhouse.insight.rules import Affinity, InsightRules, Reorder, ReturnHotspots
from tillhouse.insight.score_rules import Band, Cap, Colour, Criterion, Linear, ScoreRules
from tillhouse.insight.segment_rules import RuleSet, Segment, SegmentRules, Threshold
from tillhouse.kpi import metrics
from tillhouse.kpi.rules import KpiRules, WeekAnomaly
from tillhouse.products.returns import ReturnRules
from tillhouse.products.rules import Bundles, ChannelPrices, ProductRules, ReusedNumbers
from tillhouse.quality import rules
from tillhouse.quality.duties import Duty, Escalation, ExceptionsFile, Match
from tillhouse.sources import entities as kinds
from tillhouse.sources import fields
from tillhouse.sources.consents import NO, YES
from tillhouse.sources.delivery import Closed, Delivery
from tillhouse.sources.json_objects import Jsonl
from tillhouse.sources.model import (
    Alternative,
    CarryDown,
    Case,
    Column,
    Condition,
    Consent,
    Csv,
    Details,
    Locale,
    Nested,
    Source,
    Unpivoted,
    VersionOrder,
    Workbook,
    Xml,
)
from tillhouse.sources.policy import ControlFile, DelayLimits, Quality, ShareLimits, Trailer
from tillhouse.tables import Table, gold

DOCS = Path(__file__).resolve().parent.parent / "docs"
__all__ = ["TableColumn", "to_columns"]
MADE = "<!-- Made by scripts/make_docs.py; change the code or the script, not this page. -->"


# The contracts

SCHEMAS = {
    "bronze": "Every record of every delivered file as text, with where it came from. One table for each source, named "
    "like it; beside the columns below it has the export's own columns, all of them STRING. Names of columns lose blanks "
    "and marks that Delta does not accept (`Sold at` becomes `Sold_at`). The table of a source with `personal_data: "
    "true` lies under the vault root.",
    "silver": "Typed and checked records in one shape, whatever till they come from, and the exceptions of what cannot be used. "
    "`record_version`, `consent` and the tables of tickets, campaigns and the like are there as soon as a source delivers them.",
    "vault": "Personal data in clear text. It has a root of its own (`--vault`), so that it can carry other permissions, "
    "and its tables keep no column statistics.",
    "gold": "The star schema and the figures that BI reads. Contacts, tickets, open items, warranties and preferences are empty "
    "where no source delivers them, and hold all that was delivered, whatever `--as-of` says. Where nobody knows the branch or "
    "the product that a record names, its id and key are NULL and `branch_status` or `product_status` is unknown: join these "
    "dimensions with LEFT JOIN and no row is lost. Nothing in them depends on today: what is overdue on a day is asked by "
    "`is_open AND due_on < DATE'2026-03-31'`.",
    "ops": "What was delivered, what ran, and whether it adds up.",
}


DICTIONARY = """
The same as files to load: [tables.csv](tables.csv) (grain, key, layout) and [columns.csv](columns.csv) (type, unit, foreign
key, meaning). *refers to* names the column that a foreign key points to; in gold every value is there, unknown ones as members
that say so. An id of a dimension with history points to several versions: join it with `is_current` for how things are now, or
join the `_key` for how they were on the day of the fact. NULL is `yes` where a value may be missing. What may not be missing is
refused when it is written, and so are another type and a key that is not unique.
""".strip()

CHANGES_INTRODUCTION = """
Columns are added without notice. One that goes, changes its type or may be empty where it could not, and a key that changes,
is listed here with the version of the contract from which on it holds, and why. A lake that was made by an older contract is
brought forward by `tillhouse upgrade`.
""".strip()


def tables_page() -> str:
    tables = TABLES
    text = [
        "# Tables",
        "Each table is a Delta folder `<schema>/<table>` below the lake root, those of `vault` below the vault root. "
        "`_key` is a surrogate (128-bit hash), `_id` a natural id, `_at` an instant (UTC), `_date` and `_on` a day; "
        "columns that begin with `_` are technical. Amounts include VAT unless their name says otherwise; net + tax = "
        "gross. A sale is positive, a return negative, for amounts and quantities.",
        DICTIONARY,
        _table(("table", "grain"), [(f"[{table.full_name}](#{to_anchor(table.full_name)})", table.grain) for table in tables]),
    ]
    for schema, meaning in SCHEMAS.items():
        text += [f"## {schema}", meaning]
        text += [_contract(table) for table in tables if table.schema == schema]
    changes = [
        (f"`{item['table']}`", str(item["version"]), str(item["change"]), str(item["reason"]))
        for item in contract_docs.explained(DOCS)
    ]
    text += [
        "## Changes",
        CHANGES_INTRODUCTION,
        _table(("table", "version", "change", "reason"), changes) if changes else "None.",
    ]
    return _page(text)


def _contract(table: Table) -> str:
    facts = [f"Grain: {table.grain}.", f"Key: {_codes(table.key)}."]
    if table.partition_by:
        facts.append(f"Partitioned by {_codes(table.partition_by)}, sorted by {_codes(table.sort_by)} within.")
    elif table.sort_by:
        facts.append(f"Sorted by {_codes(table.sort_by)}.")
    if table.personal:
        facts.append("Holds personal data.")
    rows = [
        (
            f"`{c.name}`",
            f"`{c.type}`",
            "yes" if c.is_nullable else "no",
            unit_of(table, c),
            reference_of(table, c),
            c.comment or "",
        )
        for c in to_columns(table)
    ]
    head = ("column", "type", "NULL", "unit", "refers to", "meaning")
    return f"### {table.full_name}\n\n{' '.join(facts)}\n\n{_table(head, rows)}"


# The KPIs

LINE_TYPES = {
    "ITEM": "goods or a service, sold or returned",
    "DISCOUNT": "a reduction of one line (its parent line) or of the whole receipt",
    "SURCHARGE": "an addition to the price, such as a delivery fee",
    "PRICE_SUBSIDY": "a third party pays part of the price of what is sold (ZuschussUnecht)",
    "SUBSIDY": "a true subsidy: paid for nothing in return (ZuschussEcht)",
    "DEPOSIT": "deposit taken on bottles or crates",
    "DEPOSIT_REFUND": "such a deposit paid back",
    "SPV_SALE": "a single-purpose voucher is sold; the goods count when they leave",
    "SPV_REDEEM": "a single-purpose voucher is handed in; the goods on the same receipt count",
    "GIFTCARD_SALE": "a multi-purpose voucher or gift card is sold or charged: a liability",
    "GIFTCARD_REDEEM": "a multi-purpose voucher pays: a means of payment, revenue stays as it is",
    "TIP_EMPLOYER": "a tip that belongs to the business",
    "TIP_EMPLOYEE": "a tip that belongs to the staff",
    "RECEIVABLE_CREATED": "sold on account: what the customer owes from now on",
    "RECEIVABLE_SETTLED": "such a debt paid",
    "PREPAYMENT_RECEIVED": "a payment in advance",
    "PREPAYMENT_SETTLED": "such a payment used up",
    "CASH_MOVE": "cash without a sale: float, drop, withdrawal, difference",
    "COMPONENT": "what is in a set, told by the till beside the set's own line; its amount is part of the set's and counts 0",
    "CATEGORY": "the total of a category, from a source without lines",
    "TOTAL": "the total of a receipt, from a source without lines",
}

KPI_INTRODUCTION = """
Every figure is declared once, in `lib/tillhouse/kpi/metrics.py`. The metric views `gold.sales` and `gold.sales_line`, the
tables `gold.kpi_branch_day` and `gold.kpi_branch_week`, `tillhouse kpi` and this page are made from that declaration.

## What counts

**Valid receipt.** A document with status FINAL that is a SALE, RETURN or EXCHANGE. Orders, training, cancelled and
voided documents, control and cash documents stay in silver and count nowhere. What kind a document is, its lines
decide: only cash movements make CASH; goods sold and goods returned on one receipt make EXCHANGE; only returned goods
make RETURN; everything else is a SALE. Where a source states ORDER, TRAINING, CANCELLED, CONTROL or CASH, that holds.

**Revenue** is the signed sum of the revenue lines of valid receipts, with VAT; the column *revenue* below says which
types of lines count. It is summed from the lines and never taken from the total that a receipt states: where the two
differ, the lines count and `total_differs` is an exception. A return lowers the revenue of its own day; it is never
dated back. The one exception is a refund that a source writes into the old receipt without a day of its own (Shopify's
export): it lowers the day of that receipt. Revenue may be negative. A receipt that looks as if a till had made it twice
(`suspected_duplicate`) counts until somebody takes it back.

**Day.** Everything counts on the branch's own trading day (`business_date`): the one that the source states, else the
day of the receipt's end (or start) in the time zone of the branch, after the branch's start of day.

**Basket.** A SALE or EXCHANGE with at least one sold line of type ITEM, CATEGORY or TOTAL, whatever its quantity or
value: a line with quantity 0 makes a basket, and so does a receipt worth 0. A receipt with nothing but returns,
deposits, vouchers or voided lines is a receipt and no basket. A day's total in one document (`document: day`) counts in
revenue, not in receipts or baskets.

**Returns.** Lines of type ITEM, CATEGORY or TOTAL with a negative amount (or amount 0 and a negative quantity),
together with the discounts that were taken back with them. `return_amount` is positive. `sales_before_returns` is
revenue plus returns.

**The purchase of a return.** `gold.fct_return` has a row for each returned line, and says which purchase it is of, by which
`link_method`, on what `evidence`, and how sure that is (`link_confidence`):

| link_method | evidence | confidence |
| --- | --- | --- |
| `reference` | `named_line`: receipt, line and product are told | 1.00 |
| `reference` | `product_and_price`: the receipt is told, and has the product at this price | 0.99 |
| `reference` | `product`: the receipt is told, and has the product | 0.97 |
| `reference` | `other_product`: receipt and line are told, the line is of another product | 0.90 |
| `reference` | `receipt`: the receipt is told, nothing in it fits | 0.90 |
| `reference` | `nothing_left`: the receipt is told, all that fits was returned before | as above |
| `reference` | `parts_of_reference`: the only receipt with this number that has the product at this price | 0.95 |
| `customer_product` | `product_and_price`: the customer's only purchase of the product at this price within the window | 0.95 |
| `customer_product` | `product`: the only one within the window, at another price | 0.70 |
| `payment_token` | `product_and_price`: the only one paid with this card that has the product at this price | 0.85 |
| `payment_token` | `product`: the only one within the window, at another price | 0.50 |
| `none` | `several_candidates`: `candidate_count` purchases of the customer, or that the reference names, fit equally well | |
| `none` | `several_of_card`: `candidate_count` purchases paid with this card do | |
| `none` | `receipt_not_found`: the receipt that is told has not come, or counts in no figure; it is not guessed | |
| `none` | `nothing_found`, `no_customer` | |

A line is never returned more often than it was sold, over all its returns. Those with a reference take first, then those of
customers, then those of payment cards, each in the order of trading day and instant; what is used up is no candidate any
more. A card is asked where no customer explains the return: whoever showed the loyalty card only when buying, or only when
returning, is found by it (`payment_card` in [sources](sources.md); a receipt paid with two cards has none). A quantity may
come from several lines of one receipt: `original_lines` tells them, `original_line_number` the one that most came from. The
window and how sure a link has to be are in `conf/returns.yml`. A return that comes before its sale is linked when the sale
comes. `return_status` of `gold.fct_receipt` says of the purchase whether nothing, a part or all of it came back: all goods,
or all that was paid.

**Discounts.** A discount line lowers what it belongs to, whatever sign the till writes: its parent line, else the whole
receipt. A discount on the whole receipt is spread over the goods in proportion to their amounts, to the cent: of 3.00
on goods of 10.00 and 20.00 the lines bear 1.00 and 2.00. The amounts in `gold.fct_sale_line` are those after the
spreading; the discount's own line stays there with `is_revenue` false, so that the sum over `is_revenue` lines is
revenue. Without goods to lower it remains revenue itself. On returned goods a discount lowers the refund.
`discount_amount` holds both these lines and the discounts that an export has already taken off the line; it is positive
on sales and negative on returns.

**Sets.** A set (bundle, menu) is one line as the till writes it, or becomes lines of its components, as
`conf/products.yml` says. Then its own line stays in `gold.fct_sale_line` with `bundle_role` set and `is_revenue` false,
and the components follow with `bundle_role` component, `parent_line_number`, and together its amounts to the cent, in
proportion to their list prices: a set of 9.98 with parts of 8.00 and 4.00 gives 6.65 and 3.33. So revenue is counted
once, and `items` counts the components. A discount on the set is divided in the same way, and so is its VAT, which the
till tells for the set as a whole. What a till tells about the components beside the set (lines of type COMPONENT) is never added.

**Voids inside a receipt** are netted first. A void takes back lines of the same article and direction; where nothing
remains, the lines are marked `is_voided` and are neither sold nor returned. All of them stay in the lake and in the
sums, where they cancel out. Only then is it decided what kind of receipt it is.

**Deposits, vouchers, tips, receivables, prepayments and cash movements** are no revenue. They are in
`gold.fct_sale_line` with `is_revenue` false and in `gross_amount` of `gold.fct_receipt`, which is what the customer was
asked for. What is owed for vouchers is in `gold.voucher_liability` and `gold.voucher_balance` (docs/operations.md); the
others have no measure of their own yet.

**Pieces.** `items` counts what is sold. A line with a unit that is no piece (weight, volume) or of a product group
named in `conf/products.yml` counts 1, whatever its quantity.

**Without lines.** Receipts that come as a total, or as totals per category, count in revenue, and a total per receipt
in baskets too. `lines_share` says which share of the revenue was delivered with its lines, so nobody takes a missing
detail for a zero.

**Customers.** A receipt is *identified* when it names one customer by a loyalty card, *unclear* when that card is of several
customers (`silver.identity_review` asks whose), else *anonymous*; so is a receipt with a till's own card, and one that a person
has detached. Anonymous and unclear receipts count in all figures of a branch and in none of customers. `new_customers` are those
whose first purchase in the whole chain is among the receipts asked for.

**VAT.** `revenue_excl_tax` is given only where every revenue line says its net amount; else it is NULL, not an
estimate.

**Payments, VAT and discounts one by one** are facts beside the receipt, reached from `gold.fct_receipt` by `receipt_key`.
Amounts per means of payment come from `gold.fct_payment`: the sum of `amount` less `tip_amount` is the receipt's
`gross_amount` where payments are delivered, else `payments_differ` is an exception. `gold.fct_tax` holds the VAT by code
and rate as the source tells it; where it tells none, the lines' own net amount and VAT stand there without a rate
(`told_by` line), and what says nothing of VAT keeps its gross amount (`told_by` nothing), so that the amounts with VAT add
up to the receipt. `gold.fct_discount` names type, reason and promotion. Its `discount_amount` is everything that lowered
prices, each once; `receipt_discount_amount` is the part that lines contain and adds up to `discount_amount` of
`gold.fct_receipt`. The two differ where a till tells a change of a price that the line's discount does not contain, and
by surcharges and roundings. Both are explanations: the amounts of lines are after all discounts, so neither is ever
added to revenue or taken off it.

**Currency.** Amounts of different currencies are never added in `gold.kpi_branch_day`; group by `currency` where a lake
has several.

**Ratios** are NULL where the denominator is 0. Their parts stand beside them: add up the parts, never the ratios.
""".strip()


KPI_WEEKS = """
`gold.kpi_branch_week` has the same measures for each branch and ISO week. Customers who come twice in a week count
once, so its figures are computed from the receipts of the week and not from its days.

A week is **full** when on each of its seven days some branch of the chain has sold, no delivery of the branch is
missing, and the branch itself has sold in it. So the first and last week of the data and weeks with a day on which the
whole chain was closed are not full. Weekdays on which the chain never trades (`closed_weekdays` in `conf/kpis.yml`) are
not asked for.

**Anomalies** (no. 20). `change` is c = revenue / revenue of the week before - 1, between two full weeks side by side.
`deviation_score` is z = 0.6745 (c - median) / MAD, where median and MAD (the median of |c - median|) are those of all
changes of the branch: what is usual for one branch is conspicuous in another. `is_anomaly` where |z| > 3.5. A new week
may change what is usual, and so the flags of earlier weeks. Two flags are no anomalies: `anomaly_reason` is
`previous_not_positive` where the week before had a revenue of 0 or less, and `no_spread` where MAD is 0. With
`week_anomaly: {rule: change}` a change beyond a fixed share is flagged instead. `peer_change` is the median change of
the other branches of the same format (or region) in the same week.

**Last year.** A week with holidays in the branch's region (`conf/calendar.yml`) is compared with the week of last year
that held the same holidays; one without with the ISO week of the same number, or, where a holiday lay there, with the
nearest week of last year without one. `last_year_holiday` names the holidays by which it was chosen. `last_year_change`
is told only where both weeks have as many days delivered.

**Plan.** `plan_amount` is what is planned for the days of the week, where a source of entity `plan` delivers it. The
plan of a month is spread evenly over its days; a plan by day or week goes before one by month.
""".strip()


KPI_BY_PRODUCT = """
A receipt is of several products. What lines add up to (revenue, returns, pieces, shares of revenue) can be asked by
product too, by the same formula, over one row per line of a valid receipt: `tillhouse kpi
revenue,return_rate,item_return_rate --by category_l1,month`. What counts receipts or customers cannot: a basket with
bread and milk would count for both. In its place `baskets_with` counts the purchases in which such goods were sold, and
`buyers` the customers who bought them; these two are never added up. `tillhouse kpi` takes the view that knows all that
is asked, and refuses what does not hold together.
""".strip()
KPI_PERIODS = """
`--period 2017-Q2` asks for these days only; `--against 2017-Q1` sets another period beside it, with the change. With
`--like-for-like` only branches count that were open throughout both: `opened_on` and `closed_on` of their master data
do not lie in between, they have sold in both, and on about the same share of the chain's trading days
(`like_for_like_within` in `conf/kpis.yml`).

    tillhouse kpi revenue,average_basket --by region --period 2017-Q2 --against 2017-Q1 --like-for-like
""".strip()
KPI_DRILL = """
`--drill` lists the receipts that a figure is made of, each with its part of it, and with the file and row that
delivered it; `--receipt KEY` lists the lines of one receipt, each with its own. Receipts of one day:

    tillhouse kpi revenue,return_amount --where "branch_id = 'F0292' AND business_date = DATE'2017-03-04'" --drill
""".strip()
ASK_SQL = """
SELECT category_l1, week, MEASURE(revenue) AS revenue, MEASURE(return_rate) AS return_rate
FROM gold.sales_line WHERE weekday = 6 GROUP BY category_l1, week ORDER BY category_l1, week
""".strip()
ASK_PYTHON = """
from tillhouse.kpi.ask import ask, open_for
from tillhouse.session import open_session
from tillhouse.store import Store

store = Store(open_session(), "demo/lake", "demo/vault")
measures, by, where = ["revenue", "return_rate"], ["category_l1", "week"], "weekday = 6"
open_for(store, measures, by, where)
found = ask(store, measures, by, where)
""".strip()
ASK_COMMAND = "tillhouse kpi revenue,return_rate --by category_l1,week --where 'weekday = 6' --bare"


# What a manager reads first; the formulas are those of the contracts' comments, which begin with the number.
OF_CUSTOMERS: dict[str, tuple[str, str]] = {
    "8": ("Purchase frequency", "How often a customer buys. Two purchases on one day are two purchases and one purchase date."),
    "9": ("Inactivity", "Days since the last purchase. Who only brings something back has not bought, and stays inactive."),
    "10": (
        "Revenue of a customer",
        "What is left of all receipts of the customer when returns are subtracted. It may be 0 or less. Anonymous receipts, and "
        "those that point to two customers, belong to nobody.",
    ),
    "11": (
        "Repurchase rate",
        "The share of customers who came back. Within 30 days only those count who had 30 days: who bought for the first time "
        "last week is not yet asked. The rate belongs to the branch, category or customer group of the first purchase.",
    ),
    "12": (
        "Time to next purchase",
        "Days between two purchase dates. A customer who has not come back yet has an open gap, which is counted and has no "
        "days: leaving it out makes a business look faster than it is.",
    ),
    "13": (
        "Cohorts",
        "All customers whose first purchase was in one month, and how many of them buy in each month after it. Months to come "
        "are empty, never 0. A month that is not over is marked.",
    ),
    "14": (
        "RFM",
        "Recency, frequency and monetary value in fifths of all customers, 5 is best. Each fifth has as many customers.",
    ),
    "15": ("Segments", "Groups of customers by rules that everybody can read, see [segments](segments.md)."),
    "16": (
        "Moves between segments",
        "How many of those who were regulars three months ago are now at risk. Nobody gets lost: the rows add up to the segment "
        "of before, `none` holds those who had not bought yet.",
    ),
    "16b": ("Retention and churn", "Of those who bought in one period, the share that bought in the next one, and the rest."),
    "16c": (
        "Conversion",
        "Days from the first contact of a campaign, or of a lead, to the purchase. Those still open are counted.",
    ),
    "18": (
        "Affinity",
        "What is bought together. Lift 2 means: twice as often as chance. Support is the share of baskets with both.",
    ),
    "19": ("Return rate", "Returned money per money sold, and the same in pieces or lines; see [flags](flags.md) for hotspots."),
    "21": ("Reorder signals", "Customers who are late by their own rhythm, see [flags](flags.md)."),
    "25": ("Quality score", "Points for all that a customer does and leaves undone, see [the score](score.md)."),
}


def kpis_of_customers() -> list[str]:
    """A section per KPI of customers: what it tells, and the columns that hold it with their formulas."""
    told: dict[str, list[tuple[str, str, str]]] = {}
    for table in gold.INSIGHT_TABLES:
        for column in to_columns(table):
            found = re.match(r"KPI (\d+[a-c]?): (.*)", column.comment or "")
            if found:
                told.setdefault(found[1], []).append((f"`{table.full_name}`", f"`{column.name}`", found[2]))
    expect_all("OF_CUSTOMERS", OF_CUSTOMERS, {*told, "14", "15"} - set(OF_BRANCHES))
    parts = []
    for number, (title, meaning) in OF_CUSTOMERS.items():
        parts += [f"### {title}", f"No. {number}. {meaning}"]
        if number in told:
            parts.append(_table(("table", "column", "formula"), told[number]))
    return parts


OF_BRANCHES = {"2", "3", "5", "17", "20", "22"}  # told above by the measures, or not computed yet


def kpis_page() -> str:
    holds = {"both": "receipts, lines", "receipts": "receipts", "lines": "lines"}
    measures = [(f"`{m.name}`", m.number, m.unit, m.meaning, holds[m.holds_on], f"`{m.expr}`") for m in metrics.ALL_MEASURES]
    dimensions = [(f"`{d.name}`", d.meaning, f"`{d.expr}`") for d in metrics.DIMENSIONS]
    products = [(f"`{d.name}`", d.meaning) for d in metrics.PRODUCT_DIMENSIONS]
    sources = [f"`{view.name}`: {view.rows}.\n\n```sql\n{view.source.strip()}\n```" for view in metrics.VIEWS]
    return _page(
        [
            "# KPIs",
            KPI_INTRODUCTION,
            "## Types of lines",
            "The mapping says of which type a line is (`line_type`, often through `value_maps`); without it, it is ITEM, "
            "or CATEGORY or TOTAL by the `depth` of the source.",
            _table(("type", "meaning", "revenue"), _line_types()),
            "## Measures",
            "*No.* numbers the definitions; measures of one number are parts of one KPI. The formulas run over the rows of the "
            "metric views `gold.sales` (*receipts*) and `gold.sales_line` (*lines*).",
            _table(("measure", "no.", "unit", "meaning", "holds on", "formula"), measures),
            "## Dimensions",
            "Any measure by any of these: `tillhouse kpi revenue,baskets --by region,week --where \"weekday = 6\"`.",
            _table(("dimension", "meaning", "expression"), dimensions),
            "## By product",
            KPI_BY_PRODUCT,
            _table(("dimension", "meaning"), products),
            "## Two periods, like for like",
            KPI_PERIODS,
            "## The receipts behind a figure",
            KPI_DRILL,
            "## The same in SQL and Python",
            f"On the command line `{ASK_COMMAND}`; in Python",
            f"```python\n{ASK_PYTHON}\n```",
            "and in SQL, in a session in which the metric views are open:",
            f"```sql\n{ASK_SQL}\n```",
            "## Coverage",
            "Beside whatever `tillhouse kpi` is asked stands how far the figures can be trusted: `identified_share` (assigned to "
            "customers), `unclear_amount`, `lines_share`, and, as far as the dimensions are those of a branch and day, "
            "`excluded_amount` (signed amount of what errors keep out, as far as it can be read), `open_exceptions` and "
            "`missing_days` (branch days that should have come and did not; such a group has a row without figures). `--bare` "
            "leaves it out. `gold.kpi_branch_day` has the same columns for each branch and day, `tillhouse status` for the "
            "whole lake. Files that are held are not in any figure; `tillhouse status` names them.",
            "## Weeks",
            KPI_WEEKS,
            "## Customers",
            "Figures about customers are measured at the beginning of each quarter (or month: `every` in `conf/insight.yml`) and "
            "now; `as_of` is the first day that no longer counts. [Figures about customers](customers.md) shows them by "
            "example.",
            *kpis_of_customers(),
            "## The rows behind them",
            *sources,
        ]
    )  # fmt: skip


def _line_types() -> list[tuple[str, str, str]]:
    expect_all("LINE_TYPES", LINE_TYPES, fields.LINE_TYPES)
    return [(f"`{name}`", LINE_TYPES[name], "yes" if name in fields.REVENUE_LINE_TYPES else "no") for name in fields.LINE_TYPES]


# The rules

READING_RULES = {
    "record_broken": (
        "error",
        "The record has another number of columns than the header, is no JSON object, or a quote is torn.",
    ),
    "field_missing": (
        "error",
        "A mandatory field is empty: one that is always required, or `required: true` in the mapping; or a receipt has no lines.",
    ),
    "field_unreadable": (
        "error or warning",
        "A value is not written as the mapping says. A warning where the field only describes (an optional text, a "
        "price): it stays empty and the record flows.",
    ),
    "value_unknown": ("error or warning", "A value is none of those that `value_maps` or the field allow. A warning as above."),
}
_WARN_OR_STOP = "warning (`warn`) or error (`stop`)"
OTHER_RULES = {
    "customer_unclear": (
        "warning",
        "party",
        "Card, number, e-mail or phone of a receipt or record are those of several customers.",
    ),
    "staff_card": ("warning", "card", "A card has more receipts on a day than `staff_card_receipts` in conf/identity.yml."),
    "value_shared": (
        "warning",
        "identifier",
        "Records of more names than `shared_values` allows have the same card, phone or e-mail.",
    ),
    "block_refused": ("warning", "block", "More records than `block_limit` agree in a rule of blocking, split as it is."),
    "file_rejected": ("error", "file", "A file as a whole cannot be read: encoding, header, a mandatory column, an open quote."),
    "file_unmatched": ("error", "file", "The path of a file matches the `file_pattern` of no source."),
    "file_share_rejected": (_WARN_OR_STOP, "file", "More records of a file are kept out than `quality.rejected` allows."),
    "file_totals_differ": (_WARN_OR_STOP, "file", "More receipts of a file differ from their stated total than allowed."),
    "file_control_differs": (_WARN_OR_STOP, "file", "A file holds other numbers of records or amounts than its trailer states."),
    "file_delayed": (_WARN_OR_STOP, "file", "A file was exported later than `quality.delay` allows."),
    "line_number_repeated": (
        "error",
        "receipt_line",
        "One file has the same line number twice in a receipt, with different contents.",
    ),
    "total_differs": ("warning", "receipt", "The lines do not add up to the total that the receipt states."),
    "register_in_two_branches": (
        "warning",
        "register",
        "A till whose number is unique in the chain (`registers: of_chain`) has receipts of two branches on the same day; "
        "one for each of these branches.",
    ),
    "payments_differ": (
        "warning",
        "receipt",
        "The payments, less tips that are no part of the receipt, do not add up to the lines.",
    ),
    "taxes_differ": ("warning", "receipt_line_tax", "The taxes of a line, or of a receipt, do not add up to it."),
    "line_unknown": ("warning", "receipt_line_tax", "A tax names a line that its receipt does not have."),
    "closing_differs": (
        "warning",
        "closing",
        "What a till closing states (Z report) is not what has come of it: final sales, returns, exchanges and cash movements of "
        "the 31 days before and the 7 days after the closing. Business cases are compared by type of line, payments by means of "
        "payment, cash by the currency handed over.",
    ),
    "suspected_duplicate": (
        "warning",
        "receipt",
        "Two receipts of one till, operator and customer have the same lines and differ in their ids and at most 10 seconds.",
    ),
    "payment_unmatched": (
        "warning",
        "receipt",
        "An export tells a payment (`pays`) of a receipt that the other export has not delivered.",
    ),
    "delivery_missing": ("warning", "delivery", "A file, or a branch and day that it should hold, is overdue."),
    "delivery_partial": ("warning", "delivery", "Numbers that the branch's tills count without gaps are missing on a day."),
    "conflicting_versions": (
        "warning",
        "receipt",
        "Two files deliver the receipt, or another record, with different contents and nothing orders them.",
    ),
    "party_incomplete": ("warning", "contact", "A contact has no name, or neither e-mail, phone nor address."),
    "reference_unknown": (
        "warning",
        "contact, ticket ...",
        "A record names a branch, product or campaign without master data, or somebody who is in no contact source. It "
        "flows as it is. Not asked where no source delivers such master data.",
    ),
    "product_unknown": (
        "warning",
        "product",
        "A product is sold for which no master data was delivered, or that no lookup finds. Listed once, with the amount sold.",
    ),
    "product_ambiguous": (
        "warning",
        "product",
        "What a line calls its product stands for several products on the line's day. It is counted as none of them.",
    ),
    "category_unknown": (
        "warning",
        "product_group or product",
        "A line without a product, or the master data of a product, names a category that stands for no product group.",
    ),
    "product_number_reused": (
        "warning",
        "product",
        "From one delivery to the next a product number has another name, and another product group or price.",
    ),
    "variant_circle": ("warning", "product", "The chain of `variant_of` leads round in a circle."),
    "variant_parent_unknown": ("warning", "product", "A product is a variant of one without master data."),
    "bundle_not_divided": (
        "warning",
        "product",
        "A set is to be divided, and what is in it, or the master data of a component, is missing: it stays one line.",
    ),
    "price_differs_between_channels": (
        "warning",
        "price",
        "A product costs more in one channel than in another at the same time and place. Of each two channels the newest days "
        "count on which both have a price; the amount is the difference.",
    ),
}


def rules_page() -> str:
    row_rules = [*rules.RECEIPT_RULES, *rules.BRANCH_RULES]
    expect_all("READING_RULES", READING_RULES, rules.READING_REMEDIES)
    expect_all("OTHER_RULES", OTHER_RULES, rules.OTHER_REMEDIES)
    expect_all("the rules of this page", [*READING_RULES, *OTHER_RULES, *(r.name for r in row_rules)], rules.REMEDIES)
    judged = [
        (f"`{r.name}`", r.severity, entity, f"`{r.field}`", f"`{r.violated}`", r.remedy)
        for entity, group in (("receipt line", rules.RECEIPT_RULES), ("branch", rules.BRANCH_RULES))
        for r in group
    ]
    reading = [(f"`{n}`", severity, when, rules.remedy_of(n)) for n, (severity, when) in READING_RULES.items()]
    other = [(f"`{n}`", severity, entity, when, rules.remedy_of(n)) for n, (severity, entity, when) in OTHER_RULES.items()]
    return _page(
        [
            "# Rules",
            "Whatever breaks a rule is a row in `silver.exception` with its file, row, field, value and remedy; values "
            "of personal fields are masked. An **error** keeps the record out (a rejected file: all of its records), a "
            "**warning** lets it flow and marks it. No rule changes a figure. An exception whose fault is no longer "
            "found is resolved by the next run; one that comes back is open again.",
            "## On single records",
            "A record breaks the rule where the condition (Spark SQL) is true; one that could not be read is asked none of them. "
            "**On NULL a condition is neither true nor "
            "false, so NULL passes unless the rule asks for it (`IS NULL`).** Names that begin with `_` are facts that "
            "are looked up first: `_branch_is_known`, `_branch_opened_on` and `_branch_closed_on` in the master data of "
            "the branch, `_time_zone_is_known` in the list of IANA time zones.",
            _table(("rule", "severity", "of a", "field", "broken where", "remedy"), judged),
            "## When reading",
            "Found before any other rule is asked.",
            _table(("rule", "severity", "broken when", "remedy"), reading),
            "## On files, whole receipts and products",
            _table(("rule", "severity", "of a", "broken when", "remedy"), other),
        ]
    )  # fmt: skip


# The mapping language

MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "A source": (Source, "The keys of a file `conf/sources/<source>.yml`."),
    "A column": (
        Column,
        "Where one canonical field comes from: exactly one of `aliases`, `collect`, `join`, `sum`, `multiply`, `from_path`, "
        "`value`; with `cases` there may be none.",
    ),
    "A case": (Case, "For records that fulfil every condition: exactly one of `aliases`, `join`, `value`, `empty`."),
    "A condition": (
        Condition,
        "A question to a record of the export: exactly one of `one_of`, `starts_with`, `sign`, `is_given`.",
    ),
    "csv": (Csv, "Layout of a text table. The first line after `skip_rows` names the columns."),
    "jsonl": (
        Jsonl,
        "What is nested in JSON. The value of an object in a record is the column `outer/inner`, once the object is named here; "
        "all of it holds for the nested records too. Names differ by upper and lower case.",
    ),
    "workbook": (Workbook, "Where in a workbook the records are. The first row after `skip_rows` names the columns."),
    "locale": (
        Locale,
        "How numbers are written. A minus may stand before or behind, or be written as parentheses; grouping marks are "
        "accepted only where thousands are.",
    ),
    "xml": (
        Xml,
        "Which elements are records, and how the elements in them become columns. A column is the path of an element below "
        "the record, such as `RetailTransaction/Customer/CustomerID`; `@` stands before an attribute (`Tender@TypeCode`, "
        "`@CancelFlag`). Namespaces make no difference; entities are refused. Records are numbered in the order of the document.",
    ),
    "carry_down": (CarryDown, "For tables that say what concerns the whole document on its first row only."),
    "Nested records": (Nested, "Records inside a record: the lines of a receipt."),
    "Details": (
        Details,
        "Payments, taxes, references, adjustments and totals of closings: nested records, or without `path` one in each record "
        "that tells one (a payment's amount, a tax's, an adjustment's, the receipt or document that a reference names). Where "
        "several columns tell one each, such as cash and cards, write a list: `payments: [{columns: ...}, "
        "{columns: ...}]`. `../` before the name of a column means that of the record that holds the nested one.",
    ),
    "An amount of its own": (
        Unpivoted,
        "A column whose amount is a line or a payment by itself where it is neither empty nor 0, such as shipping, a tip, or "
        "what was paid by card.",
    ),
    "An alternative": (Alternative, "A kind of nested record."),
    "consent": (
        Consent,
        "What a column tells of the consent of a contact, for one channel and purpose: `granted`, `denied`, or `unknown` "
        "where it is blank. Its texts mean yes ("
        + ", ".join(YES)
        + ") or no ("
        + ", ".join(NO)
        + ") unless they are listed. Where "
        "several columns tell of the same channel and purpose, denied wins over granted. Nothing makes a consent of a blank.",
    ),
    "version_order": (VersionOrder, "Exactly one of `aliases` and `from_path`."),
    "delivery": (
        Delivery,
        "What the source should deliver of each branch and day, and until when. `ops.delivery` says what has come: `on_time`, "
        "`late` (the declared export time lies after the due time), `missing` (due before the day of `--as-of`) or "
        "`partial` (a till's numbers have gaps). A branch is expected from the first day on that the source has delivered of it, "
        "between `opened_on` and `closed_on` of its master data. Without this key nothing is expected.",
    ),
    "quality": (
        Quality,
        "Limits for each file of the source. It is judged by its own content and path alone, without master data, so that "
        "it makes no difference when it comes. Above `warn` the file flows and is an exception. Above `stop` it is held: "
        "it is not loaded, everything else is published, and the run ends with exit code 3 (docs/operations.md says what to "
        "do). A limit that is changed counts for files that come from then on, and for those that are held.",
    ),
    "limits": (ShareLimits, "Shares, 0 to 1; the file exceeds a limit with a greater share. At least one."),
    "limits of delay": (DelayLimits, "The same for a time. At least one."),
    "trailer": (
        Trailer,
        "A line of a text table, below its records, that states what it holds; of several the last. At least one of `records` "
        "and `amount`.",
    ),
    "control_file": (
        ControlFile,
        "A text table with a header and one row, written as the source's own (`encoding`, `csv`, `locale`). It is no "
        "delivery of its own. A file whose control file has not come yet exceeds every limit, and is judged again when it "
        "has. At least one of `records` and `amount`.",
    ),
    "Closed days": (Closed, "Days on which nothing is expected; without `branches` and `regions`, of no branch."),
}
CONF_MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "lake.yml": (
        LakeFile,
        "Where the data lies: paths or URIs. The command line wins over the environment, the environment over this file.",
    ),
    "products.yml": (
        ProductRules,
        "Which lines count as one item whatever their quantity, how lines find their product, and what becomes of sets. "
        "[Products of several systems](products.md) shows it by example.",
    ),
    "bundles": (Bundles, "Below `bundles` in products.yml. Which sets are divided; `keep` goes before `explode`."),
    "channel_prices": (ChannelPrices, "Below `channel_prices` in products.yml."),
    "reused_numbers": (ReusedNumbers, "Below `reused_numbers` in products.yml."),
    "calendar.yml": (
        Calendar,
        "Which public holidays the regions have (`gold.dim_holiday`, by the Python package `holidays`). Weeks are compared with "
        "the week of last year that held the same holidays. The file may be missing.",
    ),
    "Holidays of a region": (RegionHolidays, "Below `regions` in calendar.yml."),
    "kpis.yml": (
        KpiRules,
        "How `gold.kpi_branch_week` judges and compares weeks. The file may be missing: then the defaults count.",
    ),
    "week_anomaly": (WeekAnomaly, "Below `week_anomaly` in kpis.yml. [KPIs](kpis.md) has the definition."),
    "insight.yml": (
        InsightRules,
        "How customers are measured, and when something is conspicuous. The file may be missing: the defaults count then.",
    ),
    "affinity": (Affinity, "Below `affinity` in insight.yml."),
    "returns": (ReturnHotspots, "Below `returns` in insight.yml. [Flags](flags.md) tells what is computed."),
    "reorder": (Reorder, "Below `reorder` in insight.yml."),
    "segments.yml": (
        SegmentRules,
        "Who is in which segment. Without the file there are no segments. [Segments](segments.md) shows how to write them.",
    ),
    "A threshold": (Threshold, "Below `thresholds` in segments.yml; conditions use it by its name."),
    "A rule set": (RuleSet, "Below `rule_sets` in segments.yml."),
    "A segment": (Segment, "Below `segments` of a rule set."),
    "score.yml": (
        ScoreRules,
        "Points of customers. Without the file nobody is scored. [The score](score.md) shows how to adapt it.",
    ),
    "A criterion": (Criterion, "Below `criteria` in score.yml: one of `bands`, `flag` and `linear`."),
    "A band": (Band, "Below `bands` of a criterion."),
    "Linear points": (Linear, "Below `linear` of a criterion."),
    "A cap": (Cap, "Below `cap` of a criterion."),
    "A colour": (Colour, "Below `colours` in score.yml."),
    "returns.yml": (
        ReturnRules,
        "How returns find their purchase, and what the tills' reasons mean. The file may be missing: the defaults count then, "
        "and reasons stay as they are told. A change links all returns anew. [KPIs](kpis.md) tells the rules.",
    ),
    "exceptions.yml": (
        ExceptionsFile,
        "Who answers for which exception, until when, and who hears of it after that. The file may be missing; an example stands "
        "in docs/operations.md. A change touches open exceptions only, and never what a person has decided.",
    ),
    "A duty": (Duty, "What holds for some exceptions: at least one of `owner`, `due`, `escalate`."),
    "Meant exceptions": (
        Match,
        "Exceptions that fulfil all that is said; of a list one is enough. An exception without branch, such as one of a whole "
        "file, is of no branch and no region.",
    ),
    "A level of escalation": (Escalation, "Levels stand in the order of their time."),
}
SCALARS = {
    str: "text",
    int: "whole number",
    float: "number",
    Decimal: "number",
    bool: "`true`, `false`",
    date: "date",
    Any: "anything",
    timedelta: "`3 days`, `12 hours`",
}
SEE: dict[type[BaseModel], str] = {
    Affinity: "affinity",
    ReturnHotspots: "returns",
    Reorder: "reorder",
    Threshold: "a-threshold",
    RuleSet: "a-rule-set",
    Segment: "a-segment",
    Criterion: "a-criterion",
    Band: "a-band",
    Linear: "linear-points",
    Cap: "a-cap",
    Colour: "a-colour",
    Column: "a-column",
    Csv: "csv",
    Jsonl: "jsonl",
    Workbook: "workbook",
    Locale: "locale",
    Nested: "nested-records",
    Details: "details",
    Alternative: "an-alternative",
    Unpivoted: "an-amount-of-its-own",
    Case: "a-case",
    Condition: "a-condition",
    Xml: "xml",
    CarryDown: "carry_down",
    Consent: "consent",
    VersionOrder: "version_order",
    Delivery: "delivery",
    Quality: "quality",
    ShareLimits: "limits",
    DelayLimits: "limits-of-delay",
    Trailer: "trailer",
    ControlFile: "control_file",
    Closed: "closed-days",
    **connector_docs.SEE,
    RegionHolidays: "holidays-of-a-region",
    WeekAnomaly: "week_anomaly",
    Duty: "a-duty",
    Match: "meant-exceptions",
    Escalation: "a-level-of-escalation",
    Bundles: "bundles",
    ChannelPrices: "channel_prices",
    ReusedNumbers: "reused_numbers",
}

MEANINGS: dict[type[BaseModel], dict[str, str]] = {
    Source: {
        "source": "Name of the source and of this file; small letters, digits and `_`. It is part of every receipt's "
        "key: do not change it later.",
        "entity": "What one record is about.",
        "description": "One sentence for people.",
        "owner": "Who answers for the source. Its exceptions go to this owner.",
        "due_days": "Days until an exception of the source is due.",
        "format": "`csv` is any text table with a header line; `jsonl` has one JSON object on each line; `xlsx` is an Excel "
        "workbook; `parquet` may hold nested lines; `xml` is any XML document; `gdpdu_zip` is DSFinV-K, the tax export of German "
        "tills. Numbers and days of typed files count as written in the mapping's decimal mark and as `iso`; those of "
        "`gdpdu_zip` are written with a dot, whatever its index declares.",
        "file_pattern": "Path of the files below the landing area. `*` stands for anything but `/`; `{name}` captures "
        "such a part under that name. A path may match one source only.",
        "encoding": "Character encoding, for example utf-8, cp1252, iso-8859-15. A file in another encoding is rejected.",
        "csv": "Layout of a text table.",
        "jsonl": "What is nested in the objects of JSON lines.",
        "workbook": "Where in a workbook the records are.",
        "xml": "Which elements of an XML document are records.",
        "locale": "How numbers are written.",
        "date_formats": "How days and times are written, tried in this order: `iso` (a time only with its time of day), or "
        "letters such as `dd.MM.yyyy HH:mm:ss` (d day, M month, y year, H hour, m minute, s second, S fraction, XXX offset), "
        "other words in single quotes. Needed where a day or time is mapped.",
        "timezone": "Zone of times without an offset: an IANA name, or `branch` for the zone in the branch's master "
        "data. An offset in the data wins.",
        "timezone_column": "Names of a column that tells the zone of a record's times, as an IANA name or as a label of Rails "
        "such as `Eastern Time (US & Canada)`. Where it is empty, `timezone` counts; a zone that nobody knows is an error.",
        "currency": "Currency (ISO 4217) of receipts that name none. Without it, that of the branch.",
        "phone_region": "Country (ISO 3166, two letters) of phone numbers without international prefix, unless the record names "
        "its country so.",
        "depth": "What a receipt source delivers: its lines, totals per category, or one total.",
        "document": "`day` where one document is the whole day of a branch: it counts in revenue, not in receipts or baskets.",
        "sign_rule": "`signed`: returns are written negative. `by_quantity`: the sign of the quantity holds for the "
        "amounts. `by_type`: positive amounts of documents of type RETURN become negative.",
        "void_rule": "How lines that take back an earlier line of their receipt (`is_void`) are written. `signed`: with the "
        "opposite sign. `as_original`: as what they take back, for example a positive amount in a column of its own "
        "(`gross_amount` with `cases`); quantity and amounts become the opposite.",
        "registers": "Whether till numbers begin anew in each branch, or each names one till of the whole chain. One of the "
        "chain that has receipts of two branches on the same day is an exception.",
        "line_number": "`column`: the field `line_number` is mapped. `ordinal`: lines are counted in the order of the file; "
        "those of `unpivot_lines` come last. `by_content`: in the order of their contents, where rows come in any order.",
        "line_rows": "Kinds of records that are lines; others tell payments or further lines only. Where a document begins "
        "(`carry_down`) there is always a line. Without it, all records are lines.",
        "unpivot_lines": "Columns that tell lines of their own beside the record's: shipping, a discount on the order, a refund.",
        "pays": "Source whose receipts the payments belong to, where a system tells them in another export. Both map the fields "
        "of the receipt's key alike; the documents of this source are kept and count nowhere.",
        "personal_data": "Must be true where a personal field is mapped. The bronze table then lies under the vault root.",
        "new_columns": "Columns that the mapping does not know: `keep` them in bronze and list them in ops.file_column, "
        "or `reject` the file.",
        "ignored_columns": "Columns that are known and not needed; those of nested records as `path.name`. Bronze keeps them.",
        "carry_down": "Columns that are filled on the first row of a document only.",
        "columns": "The canonical fields that are filled, and from where.",
        "lines": "Lines nested in a receipt. A document that is no sale may have none; it is kept with one line of 0.00. Of "
        "several lists, such as articles and shipping, a receipt may lack all but one; their lines are counted one list after "
        "the other.",
        "payments": "Payments of a receipt, nested in it or told in its rows.",
        "taxes": "Taxes of its lines, any number for each; or of the whole receipt, where the source does not tell them by line.",
        "references": "Other receipts and documents that it refers to: what is returned, voided or settled by it.",
        "adjustments": "What changed its prices: discounts, promotions, coupons, surcharges. They explain the amounts of lines, "
        "which contain them already, or lines of type DISCOUNT; nothing is added to or taken off a line by them.",
        "closing_totals": "What a till closing states (Z report), nested in any of its receipts. Compared with what has come.",
        "consent": "What columns tell of the consent of a contact.",
        "value_maps": "For a field, the export's texts and what they mean: `{line_type: {V: ITEM, P: DEPOSIT}}`. A text "
        "that is neither listed, nor one of the meanings, nor what the field itself allows breaks the rule `value_unknown`.",
        "version_order": "What tells which of two deliveries of a record is newer. Without it the first stays: a receipt "
        "that then differs is an exception, for master data the first file by name counts.",
        "delivery": "What the source should deliver of each branch and day, and until when.",
        "quality": "Limits above which a file is told of, or held until somebody decides.",
    },
    Delivery: {
        "period": "What one file covers: a `day`, or an ISO `week`, Monday to Sunday.",
        "from_path": "A name that `file_pattern` captures and that tells the period: a week as 2026W07 or 2026-W07, a day as "
        "20260214 or 2026-02-14. Without it a period has come when receipts of it have.",
        "branch_from_path": "A name that `file_pattern` captures: the number of the branch that the file is of. Without it a "
        "file is of the whole chain.",
        "due_days": "Days after the last day of the period until it is due.",
        "due_time": "Time of that day.",
        "timezone": "Zone of that time.",
        "empty_days": "Whether a branch may have no receipts on an open day. If `false`, such a day is missing.",
        "closed": "Days on which nothing is expected.",
        "branches": "Branches that the source has to deliver, also if it never has; others are expected once they have come.",
        "numbered": "Numbers that a till counts without gaps, and what counts them: `{closing_id: register, receipt_number: "
        "register}`, or `closing` where each closing begins anew. They are compared with those of the 31 days before; a number "
        "that is not higher than the one before begins anew.",
    },
    Quality: {
        "rejected": "Share of records that errors keep out. An unknown branch does not count: its master data may follow.",
        "stated_totals": "Share of receipts whose lines do not add up to `stated_gross_amount`.",
        "control_totals": "Difference between what is stated of the file and what it holds, as share of what is stated.",
        "delay": "Time from the due time of `delivery` to the export time that the path declares.",
        "trailer": "A line of the file that states how much it holds.",
        "control_file": "A file beside it that states that.",
    },
    ShareLimits: {
        "warn": "Above it the file is an exception.",
        "stop": "Above it the file is held, too.",
    },
    DelayLimits: {
        "warn": "Above it the file is an exception.",
        "stop": "Above it the file is held, too.",
    },
    Trailer: {
        "prefix": "How the line begins; one of `csv.footer_prefix`.",
        "records": "In which column of the line, from 1, the number of records stands.",
        "amount": "In which column the sum of `gross_amount` stands, as the records write it.",
    },
    ControlFile: {
        "pattern": "Path of the control file; `{name}` stands for what `file_pattern` has captured.",
        "records": "Column with the number of records.",
        "amount": "Column with the sum of `gross_amount`, as the records write it.",
    },
    Closed: {
        "weekdays": "Such as `sunday`.",
        "days": "Dates.",
        "branches": "Only of these branches.",
        "regions": "Only of the branches of these regions.",
    },
    Column: {
        "aliases": "Names that one column has had over time; where a record has several of them filled, the first "
        "counts. Upper and lower case make no difference, except in nested records.",
        "collect": "Columns each of which gives one text to a field of several.",
        "separator": "What stands between several texts in one cell, such as `;`, for a field of several.",
        "join": "Columns whose texts are put together with a blank between them, such as date and time. A part in single "
        "quotes stands for itself.",
        "sum": "Columns whose numbers are added up; an empty one counts nothing.",
        "multiply": "Columns whose numbers are multiplied, such as quantity and pack size; an empty one counts 1.",
        "minus": "Columns whose numbers are taken off a sum or product, such as a discount.",
        "percent": "Column that says which percentage of the product is meant, as for a discount; an empty one counts 0.",
        "cases": "Other origins for records that fulfil conditions; the first that holds goes before the usual one.",
        "from_path": "A name that `file_pattern` captures.",
        "value": "A constant.",
        "required": "A record without it is an error, and a file without the column is rejected. Some fields are always "
        "required.",
        "default": "Text that stands in where the record has none; it is read like the record's own.",
        "transform": "`strip_apostrophe`: without a leading `'`. `ungroup_integer`: without marks between groups of "
        "three digits. `strip_leading_zeros`. `gtin`: 8, 12, 13 or 14 digits; the lost zeros of 7, 9, 10 or 11 digits come back "
        "where the check digit fits then; anything else is unreadable. `lower`, `upper`. `salesforce_id`: the first 15 of 15 "
        "or 18 characters.",
    },
    Consent: {
        "channel": "By which way the person may be reached; `any` for all of them.",
        "purpose": "What for.",
        "aliases": "Names of the column, as for a field.",
        "granted": "Texts that mean granted.",
        "denied": "Texts that mean denied.",
        "unknown": "Texts that mean that nothing is said, as a blank does.",
        "inverted": "`true`: the column is an opt-out: yes means denied. No means unknown, since who has not objected has not "
        "consented.",
        "granted_unless_opted_out": "`true`: no in an opt-out means granted. **Disputed**: a box that nobody has ticked is no "
        "declaration and has neither proof nor time. Only where the chain can show another ground for reaching these people.",
        "proof": "Names of the column with the proof, such as a legal basis.",
        "at": "Names of the column with the time of the declaration, read by `date_formats`.",
    },
    Jsonl: {
        "objects": "Names of objects whose values become columns: `[total_money]` makes `total_money/amount` and so on. An "
        "object that is not named stays JSON in one column.",
        "summed": "Numbers in a list, added up, such as the discounts of a line: `discount_allocations/amount`. An empty list "
        "is 0.",
        "cents": "Columns that hold whole hundredths: 1050 is read as 10.50.",
        "joined": "Lists that lie in the entries of a list, made one: `returns/return_line_items` is the column of all of them. "
        "Each has its own names, and what its `returns` entry says once as `returns/source_order_id` and so on.",
        "documents": "Lists whose entries are documents of their own, beside the record that holds them: the `refunds` of an "
        "order. Such a record has the columns of its holder without its lists, and its own as `refunds/created_at` and so on, "
        "its lists too; whether it is one, `is_given` asks.",
        "optional_lists": "Lists that a record may lack, such as the payments of an order that is not paid: it then has none. "
        "Without this a record without its list cannot be read.",
    },
    Csv: {
        "delimiter": "One character between columns; a tab is `\"\\t\"`.",
        "quote": "One character around texts; `''` for a system that does not quote.",
        "skip_rows": "Lines above the header.",
        "footer_prefix": "Records whose first column begins so are titles or totals: they are left out and counted.",
    },
    Workbook: {
        "sheet": "Name of the sheet; without it, the first one.",
        "skip_rows": "Rows above the header.",
        "footer_prefix": "Rows whose first cell begins so are titles or totals: they are left out and counted.",
    },
    Locale: {
        "decimal": "Decimal mark.",
        "grouping": "Mark between thousands.",
        "strip": "What may stand beside a number, such as € or EUR.",
    },
    Case: {
        "when": "Conditions, all of which the record fulfils.",
        "aliases": "As for a column.",
        "join": "As for a column.",
        "value": "A constant.",
        "empty": "`true`: such a record has no text here, such as a refund that states no total.",
    },
    Condition: {
        "aliases": "Names of the column that is asked, as for a field.",
        "one_of": "Its text is one of these.",
        "starts_with": "Its text begins with one of these.",
        "sign": "Its number, read by `locale`, is above or below zero.",
        "is_given": "`true`: it has a text. `false`: it has none.",
    },
    Alternative: {"when": "Conditions, all of which the nested record fulfils."},
    Xml: {
        "record": "Name of the element that is one record, such as a receipt.",
        "lists": "Names of elements that come several times in a record: they become nested records, under their path. A name "
        "may be the end of a path, such as `Sale/Tax`; a list in a list is nested in its record.",
        "lifted": "Names of elements inside of lists that tell of the whole record, such as a loyalty card: columns of both.",
        "told_apart_by": "For elements of the same name, the attribute that tells them apart: `{Total: TotalType}` makes columns "
        "such as `Total[TransactionGrandAmount]`. Others that come again are one text, with ` | ` between.",
    },
    CarryDown: {
        "group_by": "Column that is filled where a document begins.",
        "columns": "Columns that are filled there and count for all rows of the document.",
    },
    Nested: {
        "path": "Name of the column that holds the list.",
        "only": "Kinds of nested records that count; the others are none of them. Without it, all.",
        "negative": "Conditions under which quantity and amounts count negative, such as returns that are written positive.",
        "columns": "The canonical fields of a line, and from where.",
    },
    Details: {
        "path": "Name of the column that holds the list; without it, a record tells one.",
        "level": "`line`: they lie in the lines (`path` is then a name in the nested line; without it, a line tells one) and "
        "have its number. For taxes, references and adjustments.",
        "only": "Kinds of records that count. Without it, all.",
        "columns": "The canonical fields, and from where.",
        "negative": "Conditions under which the amounts count negative, such as refunds and change that are written positive.",
        "unpivot": "Columns each of which tells a payment, such as `Card` and `Cash`; other fields are the record's. A tip or "
        "change of the record is that of the first of them.",
    },
    Unpivoted: {
        "aliases": "Names of the column, as for a field.",
        "when": "Conditions, all of which the record fulfils.",
        "values": "Fields of the line or payment, and what is in them: `{line_type: SURCHARGE}`.",
        "negative": "`true`: the amount is written positive and counts negative, such as a refund.",
    },
    VersionOrder: {
        "aliases": "Column that holds the change time of the record.",
        "from_path": "Name that `file_pattern` captures: the time of the export.",
        "date_formats": "How that time is written.",
        "timezone": "Zone of that time where it has no offset.",
    },
    LakeFile: {
        "lake": "Root of the lake. `--lake` and `TILLHOUSE_LAKE` win.",
        "vault": "Root of the personal data. `--vault` and `TILLHOUSE_VAULT` win.",
        "landing": "Where exports are delivered. `--landing` and `TILLHOUSE_LANDING` win.",
        "token_key_file": "File with the secret for tokens, outside lake and repository. `TILLHOUSE_TOKEN_KEY_FILE` "
        "wins, and the secret itself in `TILLHOUSE_TOKEN_KEY` wins over both.",
        "time_travel_days": "For how many days, 7 to 3650, every past version of a table can be read. `tillhouse maintain` "
        "removes what is older.",
    },
    Calendar: {
        "regions": "The chain's regions by their name in the master data of the branches. One that is not named has no holidays.",
    },
    RegionHolidays: {
        "country": "ISO 3166-1 code, such as `DE`; Norway's is written in quotes: `'NO'`.",
        "subdivision": "Part of the country as ISO 3166-2 names it, such as `BY`; without it the holidays of the whole country.",
        "language": "Of the names, such as `en_US`; without it the country's own.",
    },
    KpiRules: {
        "closed_weekdays": "Weekdays on which the whole chain never trades. A week is full without them.",
        "like_for_like_within": "How much the share of trading days on which a branch sells may differ between two periods "
        "(`tillhouse kpi --like-for-like`): the smaller share is at least `1 -` this times the greater one.",
        "peers": "Branches that a branch's change is set beside: those of the same format, or of the same region.",
        "week_anomaly": "When a week of a branch is conspicuous.",
    },
    WeekAnomaly: {
        "rule": "`score`: by the deviation from what is usual for the branch; `change`: by the change against the week before.",
        "score_above": "A week is flagged where the deviation score, up or down, is above this (rule `score`).",
        "change_above": "A week is flagged where the change, up or down, is above this share: `0.3` is 30 % (rule `change`).",
    },
    InsightRules: {
        "every": "Customers are measured at the beginning of each such period, and now; segments move from one to the next.",
        "rfm_ties": "`order`: fifths of the same size, ties by first purchase date, then smallest receipt_key; `equal`: equal "
        "values have equal scores, the lowest of their fifths.",
        "online_channels": "Order channels, in small letters, that are no visit to a store. What is shipped is online as well.",
        "repurchase_windows": "Days within which a further purchase counts, in rows of their own in `gold.kpi_repurchase`.",
        "affinity": "Which pairs of products are told.",
        "returns": "When returns are conspicuous.",
        "reorder": "Whose silence is conspicuous, and when.",
    },
    Affinity: {
        "window_days": "Purchases of so many days before as_of are looked at.",
        "minimum_baskets": "A product counts from so many purchases on.",
        "minimum_pairs": "A pair is told from so many common purchases on.",
        "level": "What makes a pair: products, or product groups of a level.",
    },
    ReturnHotspots: {
        "false_discovery_rate": "At most this share of a week's flags is to be expected to be chance.",
        "minimum_returned_receipts": "Fewer receipts that bring goods back are never flagged.",
        "minimum_sold_lines": "Where fewer lines were sold, nothing is judged.",
        "trend_weeks": "Weeks that a trend is judged over.",
    },
    Reorder: {
        "population": "Kind of customers that are watched.",
        "minimum_gaps": "Gaps between purchase dates that must be known before silence is judged.",
        "news_days": "For how many days a signal about the last purchase is told.",
        "spreads": "How many spreads (1.4826 MAD) beyond the median gap silence begins.",
        "horizon_days": "A flag was right if nothing was bought for so many days after it (`gold.flag_backtest`).",
        "quantity_drop": "A last purchase below this share of the usual quantity is told.",
        "by_product_line": "Also watch each product line of a customer.",
    },
    SegmentRules: {
        "thresholds": "Numbers that conditions name.",
        "rule_sets": "Segments that are told together.",
    },
    Threshold: {
        "default": "The number where nothing else is said.",
        "branches": "Another number for customers of a home branch.",
        "regions": "Another number for customers of a home region.",
        "customer_types": "Another number for B2C or B2B.",
    },
    RuleSet: {
        "name": "How reports and commands call it. `service_level` is shown on the customer.",
        "kind": "`exclusive`: the first segment that fits; `overlapping`: all that fit.",
        "window_months": "Only the last months before as_of count; the whole life if nothing is said.",
        "for_each": "Ask the conditions for each product group that a customer has bought.",
        "segments": "The segments, in order.",
        "other": "Name of the segment of all others (`other`); of exclusive rule sets.",
        "other_meaning": "What it means to people.",
    },
    Segment: {
        "name": "How reports call it.",
        "meaning": "What it means to people.",
        "when": "Condition over columns of `gold.customer_state` and thresholds.",
    },
    ScoreRules: {
        "criteria": "What gives points, and what costs them.",
        "group_spacing": "How many points a group spans.",
        "colours": "Colours of scores, from the lowest on.",
        "population": "Condition over `gold.customer_state`: who gets a score.",
        "minimum": "No score is lower.",
        "maximum": "No score is higher.",
    },
    Criterion: {
        "name": "How it is called in `points`.",
        "meaning": "What it means to people.",
        "value": "Number, or condition, over columns of `gold.customer_state`.",
        "bands": "Points by the band that the value lies in.",
        "below": "Points below the first band (0).",
        "flag": "Points where the condition is true.",
        "linear": "Points for each unit.",
        "cap": "Least and most points of `linear`.",
        "missing": "Points where the value is not known.",
    },
    Band: {"from": "Least value.", "points": "Points."},
    Linear: {"per": "Size of a unit.", "points": "Points for each unit.", "offset": "Value that gives 0 points."},
    Cap: {"minimum": "Fewer points count as that.", "maximum": "More points count as that."},
    Colour: {"from": "Least score.", "colour": "Name.", "hex": "The same for a screen, `#RRGGBB`."},
    ExceptionsFile: {
        "responsible": "Duties by their weight: `owner`, `due` and `escalate` each come from the first duty that matches an "
        "exception and says it. Where none does, `owner` and `due_days` of the exception's source count, and without a "
        "source `data-steward` and 7 days.",
    },
    Duty: {
        "when": "Which exceptions are meant; without it all of them.",
        "owner": "Who answers for them.",
        "due": "How long it may take from the run that has found the exception, or found it again.",
        "escalate": "Who hears of it when it is overdue; `[]` for nobody.",
    },
    Match: {
        "rules": "Names of rules, see docs/rules.md.",
        "severity": "Only errors, or only warnings.",
        "sources": "Names of sources.",
        "entities": "What the exception is of, such as `file`, `delivery`, `receipt`, `product`.",
        "branches": "Numbers of branches.",
        "regions": "Regions of branches, as their master data says now.",
    },
    Escalation: {
        "to": "Who hears of it.",
        "after": "How long after the due time.",
    },
    ProductRules: {
        "counted_by_line": "Product groups whose lines count as one item each, by level.",
        "piece_units": "Units that mean pieces, in any case. A line with another unit counts as one item; a line without "
        "unit is in pieces.",
        "systems": "Sources that share their product and category names, as `source: name of the system`; a source that is not "
        "named is a system of its own.",
        "lookup": "For a system, how lines find their product, in this order: `product_id` (`product_ref` is the chain's own "
        "number), `sku`, `vendor_id` (`product_ref` in the references of that kind), `gtin` (in references and master "
        "data). The first that finds something on the line's day counts. Systems not named: `[product_id]`.",
        "bundles": "What becomes of sets.",
        "channel_prices": "From when on different prices are exceptions.",
        "reused_numbers": "When a product number seems to stand for another article.",
    },
    ReturnRules: {
        "window_days": "Days after a purchase within which a return without reference may be of it. A reference has no limit.",
        "least_confidence": "Links that are less sure than this, from 0 to 1, are not made.",
        "reasons": "Names of reasons, each with the texts that mean it, in large or small letters; what is told and not listed "
        "is `other`.",
    },
    Bundles: {
        "rule": "`keep`: a set is the one line that the till writes. `explode`: it becomes lines of its components.",
        "explode": "Products and product groups whose sets are exploded whatever `rule` says, by column of the product.",
        "keep": "Those whose sets are kept; it goes before `explode`.",
    },
    ChannelPrices: {
        "above_share": "Differences up to this share of the lower price are none; 0.05 is 5 %.",
        "above_amount": "Differences up to this amount are none.",
    },
    ReusedNumbers: {
        "name_similarity_below": "Share of the name that stays, from 0 to 1; less makes it another name (Levenshtein distance).",
        "price_change_above": "Change of the list price as a share of the old one; more, or another product group, "
        "makes it another article.",
    },
}  # fmt: skip

FIELD_TYPES: dict[str, str] = {
    "text": "any text; outer blanks go, an empty text is none",
    "code": "one of the allowed values, directly or through `value_maps`",
    "amount": "money, read by `locale`",
    "price": "price of one unit, up to five decimals",
    "quantity": "number, up to three decimals",
    "integer": "whole number from 0, up to nine digits",
    "instant": "day and time, read by `date_formats` and `timezone`",
    "date": "day, read by `date_formats`",
    "texts": "several texts, from several columns (`collect`) or one cell (`separator`)",
    "boolean": "1, true, yes, ja, y, j, x or 0, false, no, nein, n, -; or through `value_maps` to `true` and `false`",
}
MEANINGS |= connector_docs.MEANINGS


def _of_kind(kind: kinds.Entity) -> str:
    """What tells the records of a kind apart, and what else holds for them."""
    key = ", ".join("who it is about" if name == "party" else f"`{name}`" for name in kind.key)
    defaults = "".join(f" Where a record does not say, `{name}` is {value}." for name, value in kind.defaults.items())
    return f" A record is known by {key}{' (all of them together)' * (len(kind.key) > 1)}.{defaults}" + (
        " `personal_data` must be true." if kind.personal else ""
    )


FIELD_GROUPS: dict[str, tuple[str, tuple[fields.Field, ...]]] = {
    "Receipts": ("Under `columns` of a receipt source.", fields.RECEIPT_FIELDS),
    "Lines of receipts": (
        "Under `lines.columns`, or beside the receipt's fields under `columns` in a text table.",
        fields.LINE_FIELDS,
    ),
    "Payments": ("Under `payments.columns`.", fields.PAYMENT_FIELDS),
    "Taxes": ("Under `taxes.columns`.", fields.TAX_FIELDS),
    "References": (
        "Under `references.columns`. What names a receipt is read as `columns` reads it, with the same `value_maps`; give it the "
        "same `transform`.",
        fields.REFERENCE_FIELDS,
    ),
    "Adjustments": ("Under `adjustments.columns`.", fields.ADJUSTMENT_FIELDS),
    "Totals of closings": ("Under `closing_totals.columns`.", fields.TOTAL_FIELDS),
    "Products": ("Under `columns` of a product source.", fields.PRODUCT_FIELDS),
    "Branches": ("Under `columns` of a branch source.", fields.BRANCH_FIELDS),
    **{
        f"{kind.name}": (f"Under `columns` of a source of entity `{kind.name}`: {kind.meaning}.{_of_kind(kind)}", kind.fields)
        for kind in kinds.ENTITIES
    },
}


def sources_page() -> str:
    expect_all("FIELD_TYPES", FIELD_TYPES, get_args(fields.FieldType))
    text = [
        "# Connecting sources",
        "One YAML file for each export of each system. It names columns and styles and holds no logic. An unknown, "
        "missing or mistyped key is an error that names file, key and what is allowed. README.md shows a whole example; "
        "`conf/sources/` has those of the demo.",
    ]
    for title, (model, meaning) in MODELS.items():
        text += [f"## {title}", meaning, _keys(model)]
    text += [
        "## Canonical fields",
        "What a mapping may fill. A required field must be mapped, and a record without it is an error; `receipt_id` is "
        "not needed where `document` is `day`. A receipt needs one of `started_at`, `ended_at` and `business_date`.",
        _table(("type", "how it is read"), [(name, FIELD_TYPES[name]) for name in get_args(fields.FieldType)]),
    ]
    for title, (where, group) in FIELD_GROUPS.items():
        rows = [(f"`{f.name}`", f.type, "yes" if f.required else "", _field_meaning(f)) for f in group]
        text += [f"### {title}", where, _table(("field", "type", "required", "meaning"), rows)]
    text.append("## The other files of conf/")
    for title, (model, meaning) in CONF_MODELS.items():
        text += [f"### {title}", meaning, _keys(model)]
    return _page(text)


def connectors_page() -> str:
    text = list(connector_docs.INTRODUCTION)
    for title, (model, meaning) in connector_docs.MODELS.items():
        text += [f"## {title}", meaning, _keys(model)]
    return _page(text)


def _field_meaning(field: fields.Field) -> str:
    allowed = f": {', '.join(field.allowed)}" if field.allowed else ""
    return field.meaning + allowed + (" (personal)" if field.personal else "")


def _keys(model: type[BaseModel]) -> str:
    known = {info.alias or name: info for name, info in model.model_fields.items()}
    meanings = MEANINGS[model]
    expect_all(f"MEANINGS[{model.__name__}]", meanings, known)
    rows = [
        (
            f"`{key}`",
            _allowed(info.annotation),
            _default(info.get_default(call_default_factory=True), info.is_required()),
            meanings[key],
        )
        for key, info in known.items()
    ]
    return _table(("key", "value", "default", "meaning"), rows)


def _allowed(annotation: Any) -> str:  # noqa: ANN401 - any type that a key can have
    """What may stand behind a key, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(inner[0])
    if origin is Literal:
        return ", ".join(_value(value) for value in inner)
    if origin is tuple:
        return f"{_allowed(inner[0])}, or a list of them" if inner[0] is Details else f"list of {_allowed(inner[0])}s"
    if origin is dict:
        return f"{'name' if inner[0] is str else _allowed(inner[0])}: {_allowed(inner[1])}"
    if origin in (Union, UnionType):
        return " or ".join(_allowed(part) for part in inner if part is not NoneType)
    return f"[keys](#{SEE[annotation]})" if annotation in SEE else SCALARS[annotation]


def _default(value: object, is_required: bool) -> str:
    if is_required:
        return "**required**"
    if isinstance(value, BaseModel):
        return "its defaults"
    return "" if value in (None, (), {}) else _value(value)


def _value(value: object) -> str:
    """A value as YAML writes it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if str(value).strip() else f"`'{value}'`"


# Markdown


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [[cell.replace("|", r"\|") for cell in line] for line in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def to_anchor(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _page(parts: Sequence[str]) -> str:
    return "\n\n".join([MADE, *parts]) + "\n"


def expect_all(place: str, written: Iterable[str], known: Iterable[str]) -> None:
    """Each thing of the code has its sentence here, and no sentence is about something that is gone.

    Raises:
        ValueError: names what is missing and what is left over.
    """
    missing, left_over = sorted(set(known) - set(written)), sorted(set(written) - set(known))
    if missing or left_over:
        raise ValueError(f"scripts/make_docs.py, {place}: describe {missing or 'nothing more'}, remove {left_over or 'nothing'}")


PAGES: dict[str, Callable[[], str]] = {
    "tables.md": tables_page,
    "kpis.md": kpis_page,
    "rules.md": rules_page,
    "sources.md": sources_page,
    "connectors.md": connectors_page,
    contract_docs.TABLES_FILE: contract_docs.tables_csv,
    contract_docs.COLUMNS_FILE: contract_docs.columns_csv,
}


def make_pages() -> dict[str, str]:
    """Every page by its name."""
    return {name: make() for name, make in PAGES.items()}


def drift(folder: Path, pages: dict[str, str]) -> str:
    """How the pages in a folder differ from those that the code says; empty if they do not."""
    lines: list[str] = []
    for name, text in pages.items():
        path = folder / name
        found = path.read_text("utf-8") if path.exists() else ""
        lines += difflib.unified_diff(found.splitlines(), text.splitlines(), f"docs/{name}", "from the code", n=0, lineterm="")
    lines += [
        f"docs/{path.name} is made by nothing"
        for path in folder.glob("*.md")
        if MADE in path.read_text("utf-8") and path.name not in pages
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/make_docs.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page differs")
    parser.add_argument("--reason", default="", help="why public columns change; kept in docs/changes.yml")
    given = parser.parse_args(arguments)
    faults = contract_docs.explain(DOCS, "" if given.check else given.reason)
    if faults:
        sys.stdout.write("\n".join([*faults, ""]))
        return 1
    pages = make_pages()
    if given.check:
        found = drift(DOCS, pages)
        sys.stdout.write(f"{found}\n" if found else "docs/ is what the code says\n")
        return 1 if found else 0
    DOCS.mkdir(exist_ok=True)
    for name, text in pages.items():
        (DOCS / name).write_text(text, "utf-8")
        sys.stdout.write(f"wrote docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
