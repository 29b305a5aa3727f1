"""Receipt lines: from mapped text to signed, settled lines in the winning version of their receipt."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.keys import content_hash, surrogate_key
from tillhouse.money import with_largest_remainder
from tillhouse.quality.rules import RECEIPT_RULES, REJECTED, VIOLATION_TYPE, VIOLATIONS, Finding, with_violations
from tillhouse.sources.fields import DELETED, GOODS, LINE_FIELDS, NO_SALES, RECEIPT_FIELDS
from tillhouse.sources.mapping import is_naive, map_receipt_lines, with_line_number
from tillhouse.sources.model import Source
from tillhouse.sources.unpivot import PART

RULES_VERSION = 6
_DEFAULT_LINE_TYPE = {"lines": "ITEM", "categories": "CATEGORY", "totals": "TOTAL"}
_HEADER = [field.name for field in RECEIPT_FIELDS]
_LINE = [field.name for field in LINE_FIELDS]
TECHNICAL = ["_file", "_file_id", "_row", "_is_first_of_record", "_version_at"]


def to_lines(bronze: DataFrame, source: Source, branches: DataFrame) -> DataFrame:
    """One row per delivered line with its receipt's fields, signed, with its key and all its violations."""
    return union([_lines_of_list(bronze, source, branches, number) for number in source.lists_of_lines])


def _lines_of_list(bronze: DataFrame, source: Source, branches: DataFrame, number: int) -> DataFrame:
    mapped, found = map_receipt_lines(bronze, source, branches, number)
    joined = mapped.transform(with_branch, branches)
    dated = joined.transform(_with_defaults, source).transform(_with_trading_day, source)
    keyed = dated.transform(with_line_number, source).withColumn(
        "receipt_key", surrogate_key("source", "branch_id", "register_id", "closing_id", "receipt_id")
    )
    if source.lines:
        found = [*found, _unreadable_children(source)]
    checked = with_violations(keyed.transform(_with_signs, source), RECEIPT_RULES, found)
    if "status" in source.columns:
        checked = checked.transform(_with_deletions)
    if source.lines:
        checked = checked.transform(_with_bare_documents)
    names = ["receipt_key", "source", *_HEADER, *_LINE, "local_hour", "is_time_ambiguous", "detail_level", "is_day_total"]
    return checked.select(*names, "amount_read", *TECHNICAL, VIOLATIONS, REJECTED)


def with_branch(records: DataFrame, branches: DataFrame) -> DataFrame:
    """What the master data of its branch says, beside each record."""
    known = branches.select(
        F.col("branch_id").alias("_known_branch_id"),
        F.col("time_zone").alias("_time_zone"),
        F.col("currency").alias("_branch_currency"),
        F.col("day_start").alias("_day_start"),
        F.col("opened_on").alias("_branch_opened_on"),
        F.col("closed_on").alias("_branch_closed_on"),
    )
    return records.join(F.broadcast(known), on=F.col("branch_id") == F.col("_known_branch_id"), how="left")


def _with_deletions(lines: DataFrame) -> DataFrame:
    """A record that takes a receipt back needs to name the receipt only; whatever else it lacks is no fault."""
    is_deletion = is_deleted() & F.col("branch_id").isNotNull() & F.col("receipt_id").isNotNull()
    return lines.withColumns(
        {
            VIOLATIONS: F.when(is_deletion, F.array().cast(VIOLATION_TYPE)).otherwise(F.col(VIOLATIONS)),
            REJECTED: F.col(REJECTED) & ~is_deletion,
        }
    )


def _with_bare_documents(lines: DataFrame) -> DataFrame:
    """A document that is no sale may have no lines, such as a sign-on: it is kept with one line that amounts to nothing."""
    is_bare = F.coalesce(F.col("_is_bare") & F.col("transaction_type").isin(*NO_SALES), F.lit(False))
    others = F.filter(VIOLATIONS, lambda violation: ~violation["field"].isin(*_LINE))
    has_error = F.exists(VIOLATIONS, lambda violation: violation["severity"] == "error")
    nothing = F.lit(0).cast("DECIMAL(18,5)")
    judged = lines.withColumn(VIOLATIONS, F.when(is_bare, others).otherwise(F.col(VIOLATIONS)))
    return judged.withColumns(
        {
            REJECTED: F.when(is_bare, has_error).otherwise(F.col(REJECTED)),
            "line_number": F.when(is_bare, 1).otherwise(F.col("line_number")),
            "line_type": F.when(is_bare, "TOTAL").otherwise(F.col("line_type")),
            **{name: F.when(is_bare, nothing).otherwise(F.col(name)) for name in ("gross_amount", "amount_read")},
        }
    )


def is_deleted() -> Column:
    """Whether a record takes its receipt back."""
    return F.coalesce(F.col("status") == DELETED, F.lit(False))


def _unreadable_children(source: Source) -> Finding:
    broken = F.col("_broken").isNull() & F.col("_children_broken")
    return Finding("field_missing", "error", source.lines[0].path, broken, F.lit(None).cast("string"))


def _with_defaults(lines: DataFrame, source: Source) -> DataFrame:
    record_start = F.lit(True)
    if source.lines:
        record_start = F.col("_child_position") == 1
    elif source.unpivot_lines:
        record_start = F.col(f"{PART}.position") == 0
    return lines.withColumns(
        {
            "source": F.lit(source.name),
            "_branch_is_known": F.col("_known_branch_id").isNotNull(),
            "currency": F.coalesce("currency", F.lit(source.currency), "_branch_currency"),
            "status": F.coalesce("status", F.lit("FINAL")),
            "line_type": F.coalesce("line_type", F.lit(_DEFAULT_LINE_TYPE[source.depth])),
            "is_void": F.coalesce("is_void", F.lit(False)),
            "detail_level": F.lit(source.depth),
            "is_day_total": F.lit(source.document == "day"),
            "_is_first_of_record": record_start,
        }
    )


def _with_trading_day(lines: DataFrame, source: Source) -> DataFrame:
    """The branch's own day: the one the source states, else that of the last instant in the branch's zone after its day start."""
    instant = F.coalesce("ended_at", "started_at")
    local_micros = to_local_micros(instant)
    day = to_trading_day(local_micros)
    stated = F.col("business_date")
    known = F.col("_branch_is_known")
    dated = lines.withColumns(
        {
            "local_hour": F.pmod(F.floor(local_micros / 3_600_000_000), F.lit(24)).cast("int"),
            "is_time_ambiguous": F.coalesce(_comes_twice(instant, local_micros, source), F.lit(False)),
            "business_date": F.coalesce(stated, F.when(known, day)),
        }
    )
    dated = dated.withColumn("started_at", F.coalesce("started_at", "ended_at"))
    if source.document == "day":
        dated = dated.withColumn("receipt_id", F.coalesce("receipt_id", F.col("business_date").cast("string")))
    return dated


def to_local_micros(instant: Column) -> Column:
    """Microseconds on the clock of the branch (``_time_zone``) since 1970."""
    return F.unix_micros(F.from_utc_timestamp(instant, F.coalesce("_time_zone", F.lit("UTC"))))


def to_trading_day(local_micros: Column) -> Column:
    """The day of a time on the branch's clock, which begins at its start of day (``_day_start``)."""
    parts = F.split(F.coalesce("_day_start", F.lit("00:00")), ":")
    day_start = (parts[0].try_cast("bigint") * 60 + parts[1].try_cast("bigint")) * 60_000_000
    return F.date_from_unix_date(F.floor((local_micros - day_start) / 86_400_000_000).cast("int"))


def _comes_twice(instant: Column, local_micros: Column, source: Source) -> Column:
    """Whether a naive local time lies in the hour that the end of summer time repeats (the earlier instant was taken)."""
    if source.timezone == "UTC":
        return F.lit(False)
    zone = F.col("_zone")
    local = local_micros if source.timezone == "branch" else F.unix_micros(F.from_utc_timestamp(instant, zone))
    an_hour_later = F.timestamp_micros(F.unix_micros(instant) + 3_600_000_000)
    repeated = F.unix_micros(F.from_utc_timestamp(an_hour_later, zone)) == local
    return is_naive(F.coalesce("_text_ended_at", "_text_started_at"), source.date_formats) & repeated


def _with_signs(lines: DataFrame, source: Source) -> DataFrame:
    """Sale > 0, return < 0, for quantity and amounts, whatever the till writes."""
    gross, quantity = F.col("gross_amount"), F.col("quantity")
    match source.sign_rule:
        case "signed":
            turns = F.lit(False)
        case "by_quantity":
            turns = (gross > 0) & (quantity < 0) | (gross < 0) & (quantity > 0)
        case "by_type":
            turns = (F.col("transaction_type") == "RETURN") & (gross > 0)
    turns = F.coalesce(turns, F.lit(False))
    if source.void_rule == "as_original":
        turns = turns != F.col("is_void")
    is_negative = F.when(gross != 0, (gross < 0) != turns).otherwise(F.coalesce(quantity < 0, F.lit(False)))
    is_goods = F.col("line_type").isin(*GOODS)
    nothing = F.lit(0).cast("DECIMAL(18,5)")
    discount = F.abs(F.coalesce("discount_amount", nothing))
    is_told_only = F.col("line_type") == "COMPONENT"  # its amount is part of the set's
    return lines.withColumns(
        {
            "amount_read": gross,
            **{
                name: F.when(is_told_only, nothing).otherwise(_negated(F.col(name), turns))
                for name in ("gross_amount", "net_amount", "tax_amount")
            },
            "quantity": F.when(is_goods, _negated(F.abs(quantity), is_negative)).otherwise(quantity),
            "discount_amount": F.when(is_told_only, nothing).otherwise(_negated(discount, is_negative)),
            "promotion_amount": F.when(~is_told_only, _negated(F.abs("promotion_amount"), is_negative)),
        }
    )


def _negated(amount: Column, condition: Column) -> Column:
    """The amount, negated where the condition holds; a product would leave Spark's fast decimals."""
    return F.when(condition, -amount).otherwise(amount)


def with_marks(lines: DataFrame) -> DataFrame:
    """Mark lines that come twice in a file, and receipts whose lines must be settled against each other.

    A receipt has one trading day, that of its earliest line, also where its lines are written around midnight.
    The rows are spread by receipt once; everything that follows works on that order.
    """
    content = [*_HEADER, *_LINE]
    in_file = Window.partitionBy("receipt_key", "_file_id").orderBy("line_number", "_row")
    whole = Window.partitionBy("receipt_key", "_file_id")
    hashed = lines.repartition("receipt_key").withColumn("_line_hash", content_hash(*content))
    is_same_number = F.col("line_number") == F.lag("line_number").over(in_file)
    is_same_content = F.col("_line_hash") == F.lag("_line_hash").over(in_file)
    marked = hashed.withColumns(
        {
            "_repeats_number": F.coalesce(is_same_number, F.lit(False)),
            "_repeats_content": F.coalesce(is_same_number & is_same_content, F.lit(False)),
            "business_date": F.min("business_date").over(whole),
        }
    )
    return marked.withColumn("_needs_settling", F.max(_is_special()).over(whole))


def _is_special() -> Column:
    """A line whose figures depend on other lines of its receipt: voids, discounts, fractions of a cent."""
    amounts = ["gross_amount", "net_amount", "tax_amount", "discount_amount"]
    fractions = [F.col(name) != F.col(name).cast("DECIMAL(18,2)") for name in amounts]
    has_fraction = reduce(lambda left, right: left | F.coalesce(right, F.lit(False)), fractions, F.lit(False))
    return F.col("is_void") | (F.col("line_type") == "DISCOUNT") | has_fraction


def accepted(lines: DataFrame) -> DataFrame:
    """Lines without error and not said twice in their file."""
    return lines.where(~F.col(REJECTED) & ~F.col("_repeats_number"))


def settle(lines: DataFrame) -> DataFrame:
    """Voids netted, discount lines signed, fractions of cents rounded so that each receipt's sum stays its rounded sum."""
    plain = lines.where(~F.col("_needs_settling")).withColumn("is_voided", F.lit(False))
    special = (
        lines.where(F.col("_needs_settling"))
        .transform(with_voids_netted)
        .transform(with_discounts_signed)
        .transform(with_whole_cents)
    )
    return plain.unionByName(special)


def with_voids_netted(lines: DataFrame) -> DataFrame:
    """A void takes back lines of the same article and direction; where nothing remains, all of them are voided.

    All lines stay, so that sums stay; a voided line is neither sold nor returned.
    """
    is_goods = F.col("line_type").isin(*GOODS)
    direction = F.when(F.col("gross_amount") != 0, F.signum("gross_amount")).otherwise(F.signum("quantity"))
    direction = F.when(F.col("is_void"), -direction).otherwise(direction)
    article = F.coalesce("product_ref", "gtin", "category_ref", F.lit(""))
    same = Window.partitionBy("receipt_key", "_file_id", article, direction, "line_type")
    quantity = F.coalesce("quantity", F.signum("gross_amount").cast("DECIMAL(18,3)"))
    nothing_left = (F.sum(quantity).over(same) == 0) & F.max("is_void").over(same)
    return lines.withColumn("is_voided", F.coalesce(nothing_left, F.lit(False)) & (is_goods | F.col("is_void")))


def with_discounts_signed(lines: DataFrame) -> DataFrame:
    """A discount line lowers what it belongs to, whatever sign the till writes.

    It belongs to its parent line, else to the receipt's goods; on returned goods it lowers the refund. A void does the opposite.
    """
    whole = Window.partitionBy("receipt_key", "_file_id")
    is_goods = F.col("line_type").isin(*GOODS) & ~F.col("is_voided")
    goods = F.sum(F.when(is_goods, F.col("gross_amount"))).over(whole)
    by_number = F.collect_list(F.struct("line_number", "gross_amount")).over(whole)
    parents = F.filter(by_number, lambda line: line["line_number"] == F.col("parent_line_number"))
    base = F.coalesce(F.try_element_at(parents, F.lit(1))["gross_amount"], goods, F.lit(0))
    direction = F.when((base < 0) != F.col("is_void"), 1).otherwise(-1)
    is_discount = F.col("line_type") == "DISCOUNT"
    return lines.withColumns(
        {
            name: F.when(is_discount, (F.abs(name) * direction).cast("DECIMAL(18,5)")).otherwise(F.col(name))
            for name in ("gross_amount", "net_amount", "tax_amount")
        }
    )


def with_whole_cents(lines: DataFrame) -> DataFrame:
    """Amounts in whole cents by the largest remainder: the receipt's sum is its exact sum, rounded half up."""
    receipt = ["receipt_key", "_file_id"]
    cents = lines.transform(with_largest_remainder, receipt, "gross_amount", ["line_number"])
    cents = cents.transform(with_largest_remainder, receipt, "tax_amount", ["line_number"])
    net = F.when(F.col("net_amount").isNotNull() & F.col("tax_amount").isNotNull(), F.expr("gross_amount - tax_amount"))
    net = F.coalesce(net, F.round("net_amount", 2)).cast("DECIMAL(18,5)")
    discount = F.round("discount_amount", 2).cast("DECIMAL(18,5)")
    return cents.withColumns({"net_amount": net, "discount_amount": discount})
