"""Rules that a record must keep, as data. Rules never change a figure: they keep a record out or mark it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.tables.bronze import BROKEN

VIOLATIONS = "_violations"
REJECTED = "_is_rejected"
_ENTRY_TYPE = "STRUCT<rule: STRING, severity: STRING, field: STRING, value: STRING>"
VIOLATION_TYPE = f"ARRAY<{_ENTRY_TYPE}>"


@dataclass(frozen=True, slots=True)
class RowRule:
    """A record breaks the rule where ``violated`` (Spark SQL) is true; on NULL it is neither true nor false and passes.

    A record that could not be read (``_broken``) is asked no rule.

    ``error`` keeps the record out, ``warning`` lets it flow and marks it. ``remedy`` is what a person can do about it.
    """

    name: str
    severity: Literal["error", "warning"]
    field: str
    violated: str
    remedy: str

    def finding(self) -> Finding:
        return Finding(
            self.name,
            self.severity,
            self.field,
            F.col(BROKEN).isNull() & F.expr(self.violated),
            F.expr(self.field).cast("string"),
        )


@dataclass(frozen=True)
class Finding:
    """A violation that a record may have: where ``condition`` is true, it has it, with this value in this field."""

    rule: str
    severity: str
    field: str
    condition: Column
    value: Column

    def entry(self) -> Column:
        names = (F.lit(self.rule).alias("rule"), F.lit(self.severity).alias("severity"), F.lit(self.field).alias("field"))
        return F.when(self.condition, F.struct(*names, self.value.alias("value")).cast(_ENTRY_TYPE))


def with_violations(records: DataFrame, rules: Sequence[RowRule], found: Sequence[Finding] = ()) -> DataFrame:
    """Add all violations of each record, and whether one of them keeps it out.

    Most records have none: conditions are cheap and always asked, the entries are built only where one is true.
    """
    findings = [*found, *(rule.finding() for rule in rules)]
    entries = F.array_compact(F.array(*(finding.entry() for finding in findings)))
    nothing = F.array().cast(VIOLATION_TYPE)
    return records.withColumns(
        {
            VIOLATIONS: F.when(_any(findings), entries).otherwise(nothing),
            REJECTED: _any([finding for finding in findings if finding.severity == "error"]),
        }
    )


def _any(findings: Sequence[Finding]) -> Column:
    conditions = (F.coalesce(finding.condition, F.lit(False)) for finding in findings)
    return reduce(lambda left, right: left | right, conditions, F.lit(False))


# What reading a record can find, before any rule is asked.
READING_REMEDIES = {
    "record_broken": "Correct the line in the export, or the delimiter, quote or nesting in the mapping; deliver the file again.",
    "field_missing": "Fill the field in the source system and deliver the record again, or give a default in the mapping.",
    "field_unreadable": "Correct the value, or locale, date_formats or transform in the mapping.",
    "value_unknown": "Add the value to value_maps in the mapping.",
}

RECEIPT_RULES = (
    RowRule(
        "branch_unknown",
        "error",
        "branch_id",
        "branch_id IS NOT NULL AND NOT _branch_is_known",
        "Deliver the branch's master data, or correct the branch number; the record flows with the next run.",
    ),
    RowRule(
        "business_date_missing",
        "error",
        "business_date",
        "business_date IS NULL AND _branch_is_known",
        "Deliver the time of the receipt in one of the mapping's date_formats.",
    ),
    RowRule(
        "currency_missing",
        "error",
        "currency",
        "currency IS NULL AND _branch_is_known",
        "Name the currency in the branch's master data or in the mapping.",
    ),
    RowRule(
        "line_number_missing",
        "error",
        "line_number",
        "line_number IS NULL",
        "Deliver the line number, or say line_number: ordinal in the mapping.",
    ),
    RowRule(
        "branch_not_trading",
        "warning",
        "business_date",
        "business_date < _branch_opened_on OR business_date > _branch_closed_on",
        "Correct opened_on or closed_on of the branch, or the branch number of the receipt.",
    ),
    RowRule(
        "time_ambiguous",
        "warning",
        "started_at",
        "is_time_ambiguous",
        "Nothing is lost: the earlier of the two instants is taken. Export times with their offset to be exact.",
    ),
    RowRule(
        "line_tax_differs",
        "warning",
        "gross_amount",
        "abs(net_amount + tax_amount - gross_amount) > 0.01",
        "Net and tax do not add up to gross; the gross amount counts. Correct the tax in the source system.",
    ),
)

TAX_RULES = tuple(rule for rule in RECEIPT_RULES if rule.name == "line_tax_differs")  # of the taxes of a line too

BRANCH_RULES = (
    RowRule(
        "time_zone_unknown",
        "error",
        "time_zone",
        "time_zone IS NOT NULL AND NOT _time_zone_is_known",
        "Use an IANA name such as Europe/Berlin.",
    ),
    RowRule(
        "day_start_unreadable",
        "error",
        "day_start",
        "NOT day_start RLIKE '^([01][0-9]|2[0-3]):[0-5][0-9]$'",
        "Write the start of the trading day as HH:mm.",
    ),
)

# Judged on whole documents and tables, not on single records.
OTHER_REMEDIES = {
    "customer_unclear": "The identifiers of this party are those of several customers. Answer the question in "
    "`tillhouse customer review list`; until then its receipts are in branch figures and in no customer's.",
    "staff_card": "The card has more receipts on a day than a household: its receipts are anonymous. Take it from the till, or "
    "raise staff_card_receipts in conf/identity.yml.",
    "value_shared": "Records of many names have this card, phone or e-mail, which says nothing of who is who. Correct it there.",
    "block_refused": "Too many records agree in this and are not compared by this rule. Look for a placeholder in the source, "
    "or split the rule further (split_by in conf/identity.yml).",
    "file_rejected": "See the reason; correct the export or the mapping and deliver the file again.",
    "file_unmatched": "Move the file, or declare a source whose file_pattern matches its path.",
    "file_share_rejected": "Too many records of the file are kept out. See their exceptions or correct the mapping; or waive.",
    "file_totals_differ": "Too many receipts of the file differ from their stated total. Ask the till's vendor; or waive.",
    "file_control_differs": "The file does not hold what its trailer states: deliver it again, whole; or waive.",
    "file_delayed": "The file was exported long after it was due. Ask the source's owner why; then waive.",
    "line_number_repeated": "The same line number has different contents in one file; the first one counts. Export again.",
    "total_differs": "The lines do not add up to the total that the receipt states; the lines count. Ask the till's vendor.",
    "payments_differ": "The payments do not add up to the receipt; both stay as delivered. Ask the till's vendor.",
    "taxes_differ": "The taxes do not add up to their line, or to the receipt; both stay as delivered. Ask the till's vendor.",
    "line_unknown": "The line that it names is not in the receipt: export the receipt with all of them, or correct line_number.",
    "closing_differs": "What has come of the closing does not add up to its Z report; both stay as delivered. Deliver what is "
    "missing, and the exception closes; else ask the till's vendor.",
    "suspected_duplicate": "Both receipts count. If the till made one of them twice, take it back there; otherwise waive it.",
    "payment_unmatched": "Deliver the export that holds the receipt; the payment stays, and the exception closes on its arrival.",
    "conflicting_versions": "Two deliveries contradict and nothing says which is newer; the first stays. Declare version_order.",
    "register_in_two_branches": "Correct branch or till number in the export; or say registers: of_branch in the mapping.",
    "delivery_missing": "Ask the source's owner for the export of these days; the exception closes on its arrival.",
    "delivery_partial": "Numbers that the tills count without gaps are missing: export these days again, with every register.",
    "party_incomplete": "Complete name and e-mail, phone or address in the source system; until then the party is incomplete.",
    "reference_unknown": "Deliver the branch, product, campaign or contact that is named, or correct the record.",
    "product_unknown": "Deliver master data for the product, or a reference to it (product_reference) where conf/products.yml "
    "looks products up; until then it is listed without product group.",
    "product_ambiguous": "What the till names stands for several products on that day: end one of the references, or look up "
    "something more exact first (lookup in conf/products.yml).",
    "category_unknown": "Deliver the chain's product group for this category (entity category); until then it has none.",
    "product_number_reused": "If the number stands for another article now, deliver the new one under a number of its own; if "
    "it is the same article, waive the exception.",
    "variant_circle": "The product is a variant of itself through others, and counts as no variant: correct variant_of.",
    "variant_parent_unknown": "Deliver master data for the product that variant_of names, or correct variant_of.",
    "bundle_not_divided": "Deliver what is in the set (entity bundle_component) with master data for each component, or keep the "
    "set as one line (bundles in conf/products.yml).",
    "price_differs_between_channels": "Correct one of the two prices, or allow the difference (channel_prices in "
    "conf/products.yml).",
}


def remedy_of(rule: str) -> str:
    """What a person can do about a broken rule."""
    return REMEDIES[rule]


REMEDIES = {
    **READING_REMEDIES,
    **OTHER_REMEDIES,
    **{rule.name: rule.remedy for rule in (*RECEIPT_RULES, *BRANCH_RULES)},
}
