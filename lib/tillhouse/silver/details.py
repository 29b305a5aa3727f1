"""What belongs to receipts beside their lines: payments, taxes, references, adjustments, in the receipt's winning version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.keys import content_hash, surrogate_key
from tillhouse.money import with_largest_remainder
from tillhouse.quality.rules import REJECTED, TAX_RULES, VIOLATIONS, RowRule, with_violations
from tillhouse.silver.exceptions import instead_of, of_receipts
from tillhouse.sources.details import map_details
from tillhouse.sources.fields import DETAILS, UNPAID
from tillhouse.sources.model import Source
from tillhouse.tables import Table
from tillhouse.tables.silver import RECEIPT_ADJUSTMENT, RECEIPT_LINE_TAX, RECEIPT_PAYMENT, RECEIPT_REFERENCE

WITHOUT_CARD = ("CASH", "COUPON", "NONE")
_CENTS = "DECIMAL(18,2)"
_RECEIPT_PARTS = ("branch_id", "register_id", "closing_id", "receipt_id")


@dataclass(frozen=True)
class Kind:
    """One kind of details: its key in the mapping and its table.

    ``to_rows`` makes the table from details that can be read, receipts (silver.receipt) and their lines (silver.receipt_line);
    ``differences`` are exceptions of receipts, lines, readable details and rows that do not fit. ``tokens``: fields of which a
    keyed token alone is kept, each with the kind of its identifier and the name of the token.
    """

    key: str
    table: Table
    to_rows: Callable[[DataFrame, DataFrame, DataFrame], DataFrame]
    differences: Callable[[DataFrame, DataFrame, DataFrame, DataFrame], Sequence[DataFrame]] = lambda *_: ()
    rules: tuple[RowRule, ...] = ()
    tokens: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def entity(self) -> str:
        return self.table.name

    @property
    def meaning(self) -> str:
        return DETAILS[self.key].meaning


def read(delivered: Sequence[tuple[Source, DataFrame]], kind: Kind, branches: DataFrame) -> DataFrame:
    """The details of a kind in delivered records, with the keys of their receipts, numbered, with all their violations."""
    found = [
        _read_one(bronze, source, kind, branches, number)
        for source, bronze in delivered
        for number in range(len(source.details.get(kind.key, ())))
    ]
    return _numbered(union(found), kind)


def _read_one(bronze: DataFrame, source: Source, kind: Kind, branches: DataFrame, number: int) -> DataFrame:
    item = source.details[kind.key][number]
    mapped, problems = map_details(bronze, source, branches, kind.key, item)
    judged = with_violations(mapped, kind.rules, problems)
    known = DETAILS[kind.key].fields
    is_named = {f"_is_named_{field.name}": F.col(f"_text_{field.name}").isNotNull() for field in known if field.like}
    keyed = judged.withColumns(
        {
            "source": F.lit(source.name),
            "receipt_key": surrogate_key(F.lit(source.name), *_RECEIPT_PARTS),
            "_paid_key": surrogate_key(F.lit(source.pays or source.name), *_RECEIPT_PARTS),
            "_is_signed": F.lit(source.sign_rule == "signed"),
            "_is_of_line": F.lit(item.level == "line"),
            "_is_nested": F.lit(bool(item.path) or bool(source.lines)),
            "_item": F.lit(number),
            **is_named,
        }
    )
    names = dict.fromkeys(("line_number", *(field.name for field in known)))
    if "line_number" not in keyed.columns:
        keyed = keyed.withColumn("line_number", F.lit(None).cast("int"))
    return keyed.select(
        "receipt_key", "_paid_key", "source", *_RECEIPT_PARTS, "_file", "_file_id", "_row", *names, *is_named, "_is_signed",
        "_is_of_line", "_is_nested", "_item", "_line_position", "_child_position", VIOLATIONS, REJECTED,
    )  # fmt: skip


def _numbered(details: DataFrame, kind: Kind) -> DataFrame:
    """Details counted in each receipt of a file. A record that comes twice in a file tells its details once."""
    place = ["_item", "_line_position", "_child_position"]
    names = [field.name for field in DETAILS[kind.key].fields]
    spread = details.repartition("receipt_key").withColumn("_content", content_hash(*names, "line_number"))
    same = Window.partitionBy("receipt_key", "_file_id", *place, "_content").orderBy("_row")
    in_receipt = Window.partitionBy("receipt_key", "_file_id").orderBy("_row", *place)
    once = spread.withColumn("_time", F.row_number().over(same)).where("NOT _is_nested OR _time = 1")
    numbered = once.withColumn("_number", F.row_number().over(in_receipt)).drop("_time", "_content")
    line = F.when(F.col("_is_of_line"), F.concat(F.lit("line "), "line_number"))
    name = F.concat(F.lit(f"{kind.meaning} "), "_number")
    return numbered.withColumn("_place", F.concat_ws("/", "branch_id", "receipt_id", line, name))


def _with_receipt(details: DataFrame, receipts: DataFrame) -> DataFrame:
    """What a table of details says of the receipt; details of receipts that do not count go."""
    amount = F.col("gross_amount").alias("_receipt_gross")
    kept = receipts.select("receipt_key", "_file_id", "business_date", "currency", amount)
    return details.join(kept, on=["receipt_key", "_file_id"], how="inner")


def _with_line(details: DataFrame, lines: DataFrame) -> DataFrame:
    """The amounts of the line that a detail belongs to, beside it; what lies in a line that does not count goes."""
    of_lines = lines.select(
        "receipt_key",
        "line_number",
        F.col("gross_amount").alias("_line_gross"),
        F.col("tax_amount").alias("_line_tax"),
        F.col("_amount_read").alias("_line_read"),
    )
    joined = details.join(of_lines, on=["receipt_key", "line_number"], how="left")
    return joined.where("NOT _is_of_line OR _line_gross IS NOT NULL")


def to_payments(payments: DataFrame, receipts: DataFrame, _lines: DataFrame) -> DataFrame:
    """Payments, change taken off.

    A payment belongs to the receipt that it pays, which may be one of another source than the document that tells of it.
    """
    is_foreign = F.col("foreign_currency") != F.col("currency")
    has_card = ~F.col("tender_type").isin(*WITHOUT_CARD)  # a record tells the card of one part beside the others too
    amount = F.col("payment_amount") - F.coalesce("change_amount", F.lit(0))
    return RECEIPT_PAYMENT.conform(
        _with_receipt(payments, receipts).withColumns(
            {
                "receipt_key": F.col("_paid_key"),
                "_document_key": F.col("receipt_key"),
                "payment_number": F.coalesce("payment_number", "_number").cast("INT"),
                "amount": amount.cast(_CENTS),
                "tendered_amount": F.col("payment_amount").cast(_CENTS),
                "change_amount": F.col("change_amount").cast(_CENTS),
                "tip_amount": F.col("tip_amount").cast(_CENTS),
                "foreign_currency": F.when(is_foreign, F.col("foreign_currency")),
                "foreign_amount": F.when(is_foreign, F.col("foreign_amount")).cast(_CENTS),
                "payment_token": F.when(has_card, F.col("payment_token")),
            }
        )
    )


def to_taxes(taxes: DataFrame, receipts: DataFrame, lines: DataFrame) -> DataFrame:
    """Taxes in the sign of their line, in whole cents that add up to its own; of net, tax and gross the third follows."""
    joined = _with_receipt(taxes, receipts).transform(_with_line, lines)
    tax = F.col("tax_amount")
    signed = joined.withColumns(
        {
            "line_number": F.when(F.col("_line_gross").isNotNull(), F.col("line_number")).otherwise(0),
            "gross_amount": F.coalesce("gross_amount", F.col("net_amount") + tax),
            "net_amount": F.coalesce("net_amount", F.col("gross_amount") - tax),
        }
    )
    turns = _is_turned(F.coalesce("gross_amount", "tax_amount"))
    names = ("net_amount", "tax_amount", "gross_amount")
    signed = signed.withColumn("_turns", turns).withColumns(
        {name: F.when(F.col("_turns"), -F.col(name)).otherwise(F.col(name)).cast("DECIMAL(18,5)") for name in names}
    )
    line = ["receipt_key", "line_number"]
    cents = signed.transform(with_largest_remainder, line, "gross_amount", ["_number"], F.col("_line_gross"))
    cents = cents.transform(with_largest_remainder, line, "tax_amount", ["_number"], F.col("_line_tax"))
    net = F.coalesce(F.col("gross_amount") - F.col("tax_amount"), F.round("net_amount", 2))
    return RECEIPT_LINE_TAX.conform(
        cents.withColumns(
            {
                "tax_number": F.col("_number").cast("INT"),
                "tax_rate": F.coalesce("tax_rate", F.col("tax_percent") / 100).cast("DECIMAL(9,5)"),
                "net_amount": net.cast(_CENTS),
                "tax_amount": F.col("tax_amount").cast(_CENTS),
                "gross_amount": F.col("gross_amount").cast(_CENTS),
            }
        )
    )


def _is_turned(amount: Column) -> Column:
    """Whether an amount must change its sign: as that of its line was turned, else as the receipt is negative."""
    of_line = F.signum("_line_read") * F.signum("_line_gross") < 0
    of_receipt = ~F.col("_is_signed") & (F.col("_receipt_gross") < 0) & (amount > 0)
    return F.coalesce(F.when(F.col("_line_gross").isNotNull(), of_line).otherwise(of_receipt), F.lit(False))


def to_references(references: DataFrame, receipts: DataFrame, _lines: DataFrame) -> DataFrame:
    """References with the key of the receipt that they name.

    What is not told of branch and till is that of the receipt itself. Without the closing of the other receipt its key is not
    known where receipts have closings: numbers begin anew in each of them.
    """
    names_receipt = F.col("ref_receipt_id").isNotNull() & (F.col("ref_type") != "EXTERNAL")

    def default(part: str) -> Column:
        same = F.when(names_receipt & ~F.col(f"_is_named_ref_{part}"), F.col(part))
        return F.coalesce(F.col(f"ref_{part}"), same)

    is_known = names_receipt & F.col("ref_branch_id").isNotNull()
    for part in ("register_id", "closing_id"):
        is_known = is_known & (F.col(f"ref_{part}").isNotNull() | (F.col(part).isNull() & ~F.col(f"_is_named_ref_{part}")))
    parts = [f"ref_{part}" for part in _RECEIPT_PARTS]
    completed = _with_receipt(references, receipts).withColumns(
        {
            "reference_number": F.col("_number").cast("INT"),
            "ref_branch_id": default("branch_id"),
            "ref_register_id": default("register_id"),
        }
    )
    key = F.when(is_known, surrogate_key("source", *parts))
    return RECEIPT_REFERENCE.conform(completed.withColumn("ref_receipt_key", key))


def to_adjustments(adjustments: DataFrame, receipts: DataFrame, lines: DataFrame) -> DataFrame:
    """Adjustments: what lowers a price is negative on a sale, whatever sign the till writes; on what comes back, positive."""
    joined = _with_receipt(adjustments, receipts).transform(_with_line, lines)
    read = F.col("adjustment_amount")
    direction = F.when(F.coalesce("_line_gross", "_receipt_gross") < 0, -1).otherwise(1)
    amount = F.when(F.col("adjustment_type") == "ROUNDING", read)
    amount = amount.when(F.col("adjustment_type") == "SURCHARGE", F.abs(read) * direction).otherwise(-F.abs(read) * direction)
    return RECEIPT_ADJUSTMENT.conform(
        joined.withColumns(
            {
                "adjustment_number": F.col("_number").cast("INT"),
                "level": F.when(F.col("line_number").isNull(), "receipt").otherwise("line"),
                "amount": F.round(amount, 2).cast(_CENTS),
            }
        )
    )


def of_payments(receipts: DataFrame, payments: DataFrame) -> DataFrame:
    """Receipts whose payments do not add up to the receipt; both stay as delivered. Of no sale nothing has to be paid."""
    receipts = receipts.where(~F.col("transaction_type").isin(*UNPAID))
    paid = payments.groupBy("receipt_key").agg(F.sum(F.expr("amount - coalesce(tip_amount, 0)")).alias("_paid"))
    differing = receipts.join(paid, on="receipt_key", how="inner").where("_paid <> gross_amount")
    return of_receipts(differing, "payments_differ", "payment_amount", *instead_of("_paid", "gross_amount"))


def of_taxes(receipts: DataFrame, lines: DataFrame, taxes: DataFrame) -> DataFrame:
    """Lines whose taxes do not add up to the line, and receipts whose own taxes do not add up to the receipt's VAT.

    The amounts with VAT are compared where all taxes of a line tell them, else the VAT.
    """
    sums = taxes.groupBy("receipt_key", "line_number").agg(
        F.sum("tax_amount").cast(_CENTS).alias("_tax"),
        F.when(F.count("gross_amount") == F.count("*"), F.sum("gross_amount")).cast(_CENTS).alias("_gross"),
    )
    of_line = lines.select(
        "receipt_key", "line_number", F.col("gross_amount").alias("_line_gross"), F.col("tax_amount").alias("_line_tax")
    )
    of_receipt = receipts.select(
        "receipt_key", F.lit(0).alias("line_number"), F.lit(None).cast(_CENTS).alias("_line_gross"),
        F.col("tax_amount").alias("_line_tax"),
    )  # fmt: skip
    wholes = of_line.unionByName(of_receipt)
    is_gross = F.col("_gross").isNotNull() & F.col("_line_gross").isNotNull()
    compared = sums.join(wholes, on=["receipt_key", "line_number"], how="inner").select(
        "receipt_key",
        "line_number",
        F.when(is_gross, F.col("_gross")).otherwise(F.col("_tax")).alias("_told"),
        F.when(is_gross, F.col("_line_gross")).otherwise(F.col("_line_tax")).alias("_whole"),
    )
    differing = receipts.join(compared.where("_told <> _whole"), on="receipt_key", how="inner")
    return of_receipts(
        differing, "taxes_differ", "tax_amount", *instead_of("_told", "_whole"), entity=RECEIPT_LINE_TAX.name,
        parts=(*_RECEIPT_PARTS, "line_number"),
    )  # fmt: skip


def of_unknown_lines(receipts: DataFrame, lines: DataFrame, taxes: DataFrame) -> DataFrame:
    """Taxes told for the receipt that name a line which it does not have; they count for the receipt as a whole."""
    named = taxes.where("NOT _is_of_line AND line_number IS NOT NULL").select("receipt_key", "_file_id", "line_number").distinct()
    unknown = named.join(lines.select("receipt_key", "line_number"), on=["receipt_key", "line_number"], how="left_anti")
    judged = receipts.join(unknown, on=["receipt_key", "_file_id"], how="inner")
    value, nothing = F.col("line_number").cast("string"), F.lit(None).cast(_CENTS)
    parts = (*_RECEIPT_PARTS, "line_number")
    return of_receipts(judged, "line_unknown", "line_number", value, nothing, entity=RECEIPT_LINE_TAX.name, parts=parts)


def _differences_of_payments(receipts: DataFrame, _lines: DataFrame, _read: DataFrame, rows: DataFrame) -> list[DataFrame]:
    return [of_payments(receipts, rows.where("receipt_key = _document_key"))]


def _differences_of_taxes(receipts: DataFrame, lines: DataFrame, read: DataFrame, rows: DataFrame) -> list[DataFrame]:
    return [of_taxes(receipts, lines, rows), of_unknown_lines(receipts, lines, read)]


KINDS = (
    Kind(
        "payments",
        RECEIPT_PAYMENT,
        to_payments,
        _differences_of_payments,
        tokens={"payment_card": ("payment_card", "payment_token")},
    ),
    Kind("taxes", RECEIPT_LINE_TAX, to_taxes, _differences_of_taxes, TAX_RULES),
    Kind("references", RECEIPT_REFERENCE, to_references),
    Kind("adjustments", RECEIPT_ADJUSTMENT, to_adjustments),
)
