"""The canonical fields that a mapping may fill, by entity. Names follow ARTS and DSFinV-K; docs/sources.md lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["text", "code", "amount", "price", "quantity", "integer", "instant", "date", "boolean", "texts"]

UNPAID = ("ORDER", "TRAINING", "CANCELLED", "CONTROL")
NO_SALES = (*UNPAID, "CASH")
TRANSACTION_TYPES = ("SALE", "RETURN", "EXCHANGE", *NO_SALES)
DELETED = "DELETED"
STATUSES = ("FINAL", "OPEN", "VOIDED", DELETED)
LINE_TYPES = (
    "ITEM", "DISCOUNT", "SURCHARGE", "PRICE_SUBSIDY", "SUBSIDY", "DEPOSIT", "DEPOSIT_REFUND", "SPV_SALE", "SPV_REDEEM",
    "GIFTCARD_SALE", "GIFTCARD_REDEEM", "TIP_EMPLOYER", "TIP_EMPLOYEE", "RECEIVABLE_CREATED", "RECEIVABLE_SETTLED",
    "PREPAYMENT_RECEIVED", "PREPAYMENT_SETTLED", "CASH_MOVE", "COMPONENT", "CATEGORY", "TOTAL",
)  # fmt: skip
# What is sold or returned, and what else counts in revenue (KPI 1).
GOODS = ("ITEM", "CATEGORY", "TOTAL")
REVENUE_LINE_TYPES = (*GOODS, "DISCOUNT", "SURCHARGE", "PRICE_SUBSIDY")
REFERENCE_TYPES = ("RETURN_OF", "VOID_OF", "SETTLES", "EXTERNAL")
# What changes a price. All but a surcharge and a rounding lower it.
ADJUSTMENT_TYPES = ("DISCOUNT", "PROMOTION", "COUPON", "REWARD", "PRICE_OVERRIDE", "SURCHARGE", "ROUNDING")
TOTAL_KINDS = ("BUSINESS_CASE", "PAYMENT", "CURRENCY")
TENDER_TYPES = ("CASH", "DEBIT", "CREDIT", "EWALLET", "GIFT_CARD", "COUPON", "INVOICE", "OTHER", "NONE")
FULFILMENTS = ("store", "pickup", "ship")


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical field.

    ``required``: a mapping must fill it, and a record without it is an error. ``identifies``: it is part of the record's key.
    ``describes``: it is a mere description, whatever its type. ``identifier``: the kind of personal identifier that it is, of
    which a keyed token is kept outside of the vault.
    ``like``: the field whose ``value_maps`` count here too, because the same thing is named.
    """

    name: str
    type: FieldType
    meaning: str
    required: bool = False
    personal: bool = False
    allowed: tuple[str, ...] = ()
    identifies: bool = False
    describes: bool = False
    identifier: str | None = None
    like: str | None = None

    @property
    def is_descriptive(self) -> bool:
        """Whether a value that cannot be read is a mere gap: no key, day or amount depends on it."""
        return (self.describes or self.type in ("text", "texts", "price")) and not self.identifies


RECEIPT_FIELDS = (
    Field("branch_id", "text", "branch number of the chain", required=True, identifies=True),
    Field("register_id", "text", "till", identifies=True),
    Field("closing_id", "text", "till closing (Z number)", identifies=True),
    Field("receipt_id", "text", "id of the receipt in its source", required=True, identifies=True),
    Field("receipt_number", "text", "printed number; may repeat"),
    Field("transaction_type", "code", "kind of document; derived from the lines if not mapped", allowed=TRANSACTION_TYPES),
    Field("status", "code", "whether the document is final; DELETED: the source takes the receipt back", allowed=STATUSES),
    Field("started_at", "instant", "first instant"),
    Field("ended_at", "instant", "last instant; started_at or ended_at or business_date is needed"),
    Field("business_date", "date", "trading day, where the source states it"),
    Field("operator", "text", "who sat at the till; only a keyed token is kept", personal=True),
    Field("team", "text", "team or department"),
    Field("channel", "text", "order channel"),
    Field("fulfilment", "code", "how the goods reach the customer", allowed=FULFILMENTS),
    Field("currency", "text", "ISO 4217; the branch's currency if not mapped"),
    Field("card_number", "text", "loyalty card; only a keyed token leaves the vault", personal=True),
    Field("stated_gross_amount", "amount", "total that the receipt itself states"),
)

LINE_FIELDS = (
    Field("line_number", "integer", "number of the line; counted if line_number is ordinal"),
    Field("line_type", "code", "kind of line; ITEM if not mapped", allowed=LINE_TYPES),
    Field("product_ref", "text", "article number"),
    Field("gtin", "text", "GTIN/EAN"),
    Field("category_ref", "text", "category, for totals per category and lines without an article"),
    Field("quantity", "quantity", "quantity"),
    Field("unit", "text", "unit of the quantity; pieces if not mapped"),
    Field("unit_price", "price", "price of one unit with VAT"),
    Field("gross_amount", "amount", "amount of the line with VAT, as charged", required=True),
    Field("net_amount", "amount", "amount without VAT"),
    Field("tax_amount", "amount", "VAT"),
    Field("discount_amount", "amount", "discount already contained in gross_amount"),
    Field("promotion_amount", "amount", "part of discount_amount that a promotion or a coupon of the retailer gives"),
    Field("coupon_amount", "amount", "manufacturer coupons tendered for the line"),
    Field("return_reason", "text", "reason of a return"),
    Field("parent_line_number", "integer", "line that this one belongs to"),
    Field("is_void", "boolean", "the line takes back an earlier line of the receipt"),
    Field("voucher_number", "text", "voucher or gift card that is sold or redeemed; only a keyed token is kept", personal=True),
)

PAYMENT_FIELDS = (
    Field("payment_number", "integer", "number of the payment; counted if not mapped"),
    Field("tender_type", "code", "means of payment", required=True, allowed=TENDER_TYPES),
    Field("tender_name", "text", "means of payment as the source names it"),
    Field("payment_amount", "amount", "amount given", required=True),
    Field("change_amount", "amount", "change given back"),
    Field("tip_amount", "amount", "tip contained in the amount, where no line tells it"),
    Field(
        "payment_card",
        "text",
        "card or account that paid, as the acquirer names it: a token, or the masked number with its brand; only a keyed token "
        "is kept",
        personal=True,
    ),
    Field("foreign_currency", "text", "ISO 4217 of what was handed over, where it is not the receipt's currency"),
    Field("foreign_amount", "amount", "amount in that currency"),
)

TAX_FIELDS = (
    Field(
        "line_number", "integer", "line that is taxed, for taxes told for the receipt; without it they are the whole receipt's"
    ),
    Field("tax_code", "text", "tax key as the source names it"),
    Field("tax_percent", "price", "rate in percent, such as 19"),
    Field("tax_rate", "price", "rate as a fraction, such as 0.19, for sources that write it so"),
    Field("net_amount", "amount", "taxed amount without VAT; gross less tax if not told"),
    Field("tax_amount", "amount", "VAT", required=True),
    Field("gross_amount", "amount", "taxed amount with VAT; net plus tax if not told"),
)

REFERENCE_FIELDS = (
    Field("ref_type", "code", "what the receipt is to the other", required=True, allowed=REFERENCE_TYPES),
    Field("line_number", "integer", "line that refers; the whole receipt if not mapped"),
    Field("ref_branch_id", "text", "branch of the other receipt; the same branch if not told", like="branch_id"),
    Field("ref_register_id", "text", "its till; the same till if not told", like="register_id"),
    Field("ref_closing_id", "text", "its till closing (Z number)", like="closing_id"),
    Field("ref_receipt_id", "text", "its id", like="receipt_id"),
    Field("ref_line_number", "integer", "its line"),
    Field("ref_date", "date", "its day"),
    Field("external_ref", "text", "document outside of the tills, such as an invoice; no name and no note"),
)

ADJUSTMENT_FIELDS = (
    Field("adjustment_type", "code", "what changes the price", required=True, allowed=ADJUSTMENT_TYPES),
    Field("line_number", "integer", "line whose price is changed, for adjustments told for the receipt"),
    Field("reason", "text", "reason as the source names it"),
    Field("promotion_id", "text", "promotion, campaign or coupon"),
    Field("adjustment_amount", "amount", "by how much the amount with VAT changes", required=True),
)

TOTAL_FIELDS = (
    Field("total_kind", "code", "what is added up", required=True, allowed=TOTAL_KINDS),
    Field("line_type", "code", "kind of line, of a business case; all kinds if not mapped", allowed=LINE_TYPES),
    Field("tender_type", "code", "means of payment, of a payment; all of them if not mapped", allowed=TENDER_TYPES),
    Field("total_name", "text", "name as the source writes it"),
    Field("tax_code", "text", "tax key as the source names it"),
    Field("total_currency", "text", "ISO 4217 of the total; that of the receipts if not mapped"),
    Field("gross_amount", "amount", "total with VAT", required=True),
    Field("net_amount", "amount", "total without VAT"),
    Field("tax_amount", "amount", "VAT"),
    Field("closed_at", "instant", "when the till was closed; gives the day where the source states none"),
)


@dataclass(frozen=True, slots=True)
class DetailKind:
    """A kind of child record of a receipt. A record that holds none of its fields in ``told_by`` tells none."""

    meaning: str
    fields: tuple[Field, ...]
    told_by: tuple[str, ...]
    may_be_of_line: bool = True


# By the key of the mapping that tells of them.
DETAILS = {
    "payments": DetailKind("payment", PAYMENT_FIELDS, ("payment_amount",), may_be_of_line=False),
    "taxes": DetailKind("tax", TAX_FIELDS, ("tax_amount",)),
    "references": DetailKind("reference", REFERENCE_FIELDS, ("ref_receipt_id", "external_ref")),
    "adjustments": DetailKind("adjustment", ADJUSTMENT_FIELDS, ("adjustment_amount",)),
    "closing_totals": DetailKind("total of a closing", TOTAL_FIELDS, ("gross_amount",), may_be_of_line=False),
}

PRODUCT_FIELDS = (
    Field("product_id", "text", "product number of the chain", required=True),
    Field("gtin", "text", "GTIN/EAN"),
    Field("product_name", "text", "name"),
    Field("category_l1", "text", "product group, level 1"),
    Field("category_l2", "text", "product group, level 2"),
    Field("category_l3", "text", "product group, level 3"),
    Field("product_line", "text", "product line"),
    Field("brand", "text", "brand"),
    Field("price_tier", "text", "price tier"),
    Field("variant_of", "text", "product that this is a variant of"),
    Field("is_bundle", "boolean", "sold as a bundle"),
    Field("category_ref", "text", "category as the source names it; category_l1 to category_l3 follow from the entity category"),
    Field("list_price", "price", "usual price of one unit with VAT, by which the amount of a bundle is divided"),
    Field("valid_from", "date", "day from which the product is as told here"),
)

BRANCH_FIELDS = (
    Field("branch_id", "text", "branch number of the chain", required=True, identifies=True),
    Field("branch_name", "text", "name"),
    Field("region", "text", "region"),
    Field("location", "text", "place"),
    Field("format", "text", "store format"),
    Field("time_zone", "text", "IANA time zone", required=True),
    Field("currency", "text", "ISO 4217"),
    Field("day_start", "text", "HH:mm at which the trading day begins; 00:00 if not mapped"),
    Field("opened_on", "date", "first trading day"),
    Field("closed_on", "date", "last trading day"),
    Field("valid_from", "date", "day from which the branch is as told here"),
)

ENTITY_FIELDS: dict[str, tuple[Field, ...]] = {
    "receipt": RECEIPT_FIELDS + LINE_FIELDS,
    "product": PRODUCT_FIELDS,
    "branch": BRANCH_FIELDS,
}
