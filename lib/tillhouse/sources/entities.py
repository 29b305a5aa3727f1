"""What is delivered beside receipts, products and branches: one declaration for each kind of record, and nothing else of it.

To add a kind: declare it here, its table in tables/entities.py, and its meaning in the docs follows from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tillhouse.sources.fields import ENTITY_FIELDS, Field

Refers = Literal["branch", "product", "campaign"]
CONTACT = "contact"
CONSENT_CHANNELS = ("email", "phone", "sms", "whatsapp", "push", "post", "fax", "any")
CONSENT_PURPOSES = ("marketing", "scoring", "survey")

DELETION = Field("is_deleted", "boolean", "the source takes the record back")
PARTY_REFERENCE = (
    Field("customer_number", "text", "customer number of who it is about", personal=True, identifier="customer_number"),
    Field("card_number", "text", "loyalty card", personal=True, identifier="card"),
    Field("email", "text", "e-mail address", personal=True, identifier="email"),
    Field("phone", "text", "phone number", personal=True, identifier="phone"),
    Field("contact_id", "text", "id in the contacts of contact_source", personal=True, identifier="id"),
    Field("contact_source", "text", "name of the contact source that contact_id is of"),
)


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of record: its fields, those that tell its records apart, and what it refers to.

    ``key`` fields together name a record of its source; ``party`` among them stands for all that names a person. ``personal``:
    its bronze table lies in the vault, whatever is mapped. ``refers``: which of its fields names a branch, product or campaign.
    ``defaults``: what a field is where the record does not say.
    """

    name: str
    meaning: str
    own_fields: tuple[Field, ...]
    key: tuple[str, ...]
    personal: bool = True
    names_party: bool = True
    refers: Mapping[str, Refers] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every field that a mapping may fill."""
        return (*self.own_fields, *(PARTY_REFERENCE if self.names_party else ()), DELETION)


_VALIDITY = (
    Field("valid_from", "date", "first day on which it holds; since ever if not mapped", identifies=True),
    Field("valid_until", "date", "last day on which it holds; until the next one begins if not mapped"),
)
_BRANCH: dict[str, Refers] = {"branch_id": "branch"}
_BRANCH_AND_PRODUCT: dict[str, Refers] = {"branch_id": "branch", "product_ref": "product"}

CONTACTS = Entity(
    name=CONTACT,
    meaning="a person or company of a CRM, a shop or a loyalty system",
    own_fields=(
        Field("contact_id", "text", "id in its source", required=True, personal=True, identifies=True, identifier="id"),
        Field("party_type", "code", "person if not mapped, company where only a company is named", allowed=("person", "company")),
        Field("customer_number", "text", "customer number of the chain", personal=True, identifier="customer_number"),
        Field("card_number", "text", "loyalty card", personal=True, identifier="card"),
        Field("salutation", "text", "form of address", personal=True),
        Field("title", "text", "academic title", personal=True),
        Field("given_name", "text", "first name", personal=True),
        Field("family_name", "text", "last name", personal=True),
        Field("company", "text", "name of the company", personal=True),
        Field("contact_person", "text", "who speaks for the company", personal=True),
        Field("birth_date", "date", "date of birth", personal=True, describes=True),
        Field("gender", "code", "gender", personal=True, allowed=("female", "male", "diverse"), describes=True),
        Field("language", "text", "language"),
        Field("emails", "texts", "e-mail addresses", personal=True, identifier="email"),
        Field("phones", "texts", "phone numbers", personal=True, identifier="phone"),
        Field("street", "text", "street and number", personal=True),
        Field("postal_code", "text", "postal code", personal=True),
        Field("city", "text", "city", personal=True),
        Field("country", "text", "country; two letters (ISO 3166) tell whose phone numbers these are"),
        Field("tax_id", "text", "VAT or tax number", personal=True, identifier="tax_id"),
        Field("company_ids", "texts", "ids of the companies that the person belongs to", personal=True, identifier="id"),
        Field("home_branch_id", "text", "branch that the source counts the customer to"),
        Field("loyalty_tier", "text", "tier in the loyalty scheme"),
        Field("loyalty_points", "quantity", "points in the loyalty scheme", describes=True),
        Field("created_at", "instant", "when the record was made", describes=True),
        Field("changed_at", "instant", "when the record was last changed", describes=True),
    ),
    key=("contact_id",),
    names_party=False,
    refers={"home_branch_id": "branch"},
)  # fmt: skip

ENTITIES = (
    CONTACTS,
    Entity(
        name="ticket",
        meaning="a complaint, question or request",
        own_fields=(
            Field("ticket_id", "text", "number of the ticket", required=True, identifies=True),
            Field(
                "ticket_type", "code", "kind", describes=True,
                allowed=("complaint", "question", "request", "return", "repair", "praise", "other"),
            ),
            Field("status", "code", "where it stands", allowed=("open", "pending", "closed")),
            Field("priority", "text", "priority"),
            Field("channel", "text", "how it came in, such as phone, email, store"),
            Field("category", "text", "what it is about, as the source sorts it"),
            Field("reason", "text", "cause, as the source sorts it"),
            Field("subject", "text", "headline; free text, kept in the vault only", personal=True),
            Field("note", "text", "free text, kept in the vault only", personal=True),
            Field("opened_at", "instant", "when it was opened", required=True),
            Field("due_at", "instant", "when it is due", describes=True),
            Field("closed_at", "instant", "when it was closed"),
            Field("branch_id", "text", "branch that it is about"),
            Field("product_ref", "text", "article that it is about"),
            Field("receipt_number", "text", "receipt that it is about"),
            Field("team", "text", "team that answers for it"),
            Field("agent", "text", "who works on it; only a keyed token is kept", personal=True, identifier="operator"),
            Field("satisfaction", "quantity", "mark that the customer gave", describes=True),
        ),
        key=("ticket_id",),
        refers=_BRANCH_AND_PRODUCT,
    ),
    Entity(
        name="interaction",
        meaning="one talk, mail or visit, such as a contact of the call centre",
        own_fields=(
            Field("interaction_id", "text", "number of the contact", required=True, identifies=True),
            Field("channel", "text", "such as phone, email, chat, store"),
            Field("direction", "code", "who began", allowed=("inbound", "outbound"), describes=True),
            Field("started_at", "instant", "when it began", required=True),
            Field("ended_at", "instant", "when it ended", describes=True),
            Field("reason", "text", "what it was about, as the source sorts it"),
            Field("outcome", "text", "what came of it, as the source sorts it"),
            Field("note", "text", "free text, kept in the vault only", personal=True),
            Field("ticket_id", "text", "ticket that it belongs to"),
            Field("campaign_id", "text", "campaign that it belongs to"),
            Field("branch_id", "text", "branch"),
            Field("receipt_number", "text", "receipt that it is about"),
            Field("team", "text", "team"),
            Field("agent", "text", "who talked; only a keyed token is kept", personal=True, identifier="operator"),
        ),
        key=("interaction_id",),
        refers={"branch_id": "branch", "campaign_id": "campaign"},
    ),
    Entity(
        name="campaign",
        meaning="a campaign with its time and cost",
        own_fields=(
            Field("campaign_id", "text", "number of the campaign", required=True, identifies=True),
            Field("campaign_name", "text", "name"),
            Field("campaign_type", "text", "kind, as the source sorts it"),
            Field("channel", "text", "such as email, post, app"),
            Field("starts_on", "date", "first day"),
            Field("ends_on", "date", "last day"),
            Field("cost_amount", "amount", "what it costs"),
            Field("currency", "text", "ISO 4217"),
            Field("owner_team", "text", "team that answers for it"),
        ),
        key=("campaign_id",),
        personal=False,
        names_party=False,
    ),
    Entity(
        name="campaign_contact",
        meaning="that a campaign reached somebody, and how they answered",
        own_fields=(
            Field("campaign_id", "text", "the campaign", required=True, identifies=True),
            Field(
                "event", "code", "what happened; sent if not mapped",
                allowed=("sent", "delivered", "opened", "clicked", "responded", "bounced", "unsubscribed"),
            ),
            Field("occurred_at", "instant", "when"),
            Field("occurred_on", "date", "on which day, where no time is told"),
            Field("channel", "text", "such as email, post, app"),
            Field(
                "test_group", "code", "whether it was to be reached or left out to compare", describes=True,
                allowed=("target", "control"),
            ),
            Field("response", "text", "answer, as the source sorts it"),
            Field("note", "text", "free text, kept in the vault only", personal=True),
        ),
        key=("campaign_id", "event", "occurred_at", "occurred_on", "party"),
        refers={"campaign_id": "campaign"},
        defaults={"event": "sent"},
    ),
    Entity(
        name="coupon",
        meaning="a coupon, or one product that it holds for",
        own_fields=(
            Field("coupon_id", "text", "number of the coupon", required=True, identifies=True),
            Field("campaign_id", "text", "campaign that it belongs to", identifies=True),
            Field("product_ref", "text", "article that it holds for", identifies=True),
            Field("discount_amount", "amount", "what it takes off"),
            Field("currency", "text", "ISO 4217"),
            Field("starts_on", "date", "first day"),
            Field("ends_on", "date", "last day"),
        ),
        key=("coupon_id", "campaign_id", "product_ref"),
        personal=False,
        names_party=False,
        refers={"campaign_id": "campaign", "product_ref": "product"},
    ),
    Entity(
        name="coupon_redemption",
        meaning="a coupon that was used",
        own_fields=(
            Field("coupon_id", "text", "number of the coupon", required=True, identifies=True),
            Field("campaign_id", "text", "campaign that it belongs to", identifies=True),
            Field("redeemed_at", "instant", "when"),
            Field("redeemed_on", "date", "on which day, where no time is told"),
            Field("branch_id", "text", "branch"),
            Field("receipt_number", "text", "receipt", identifies=True),
            Field("discount_amount", "amount", "what it took off"),
            Field("currency", "text", "ISO 4217"),
        ),
        key=("coupon_id", "campaign_id", "redeemed_at", "redeemed_on", "receipt_number", "party"),
        refers={"branch_id": "branch", "campaign_id": "campaign"},
    ),
    Entity(
        name="web_event",
        meaning="what happened in the web shop, such as a cart that was left",
        own_fields=(
            Field("event_id", "text", "number of the event", required=True, identifies=True),
            Field(
                "event", "code", "what happened",
                required=True,
                allowed=("view", "search", "cart_add", "cart_remove", "checkout", "cart_abandoned", "purchase"),
            ),
            Field("occurred_at", "instant", "when", required=True),
            Field("cart_id", "text", "the web cart"),
            Field("visitor_id", "text", "cookie or device; only a keyed token is kept", personal=True, identifier="visitor"),
            Field("product_ref", "text", "article"),
            Field("quantity", "quantity", "quantity"),
            Field("amount", "amount", "value with VAT"),
            Field("currency", "text", "ISO 4217"),
            Field("device", "text", "such as phone or desktop"),
            Field("campaign_id", "text", "campaign that led there"),
        ),
        key=("event_id",),
        refers={"product_ref": "product", "campaign_id": "campaign"},
    ),
    Entity(
        name="open_item",
        meaning="an invoice, credit note, payment or dunning notice",
        own_fields=(
            Field("item_id", "text", "number of the document", required=True, identifies=True),
            Field("item_type", "code", "kind", required=True, allowed=("invoice", "credit_note", "payment", "dunning")),
            Field("invoice_id", "text", "invoice that it belongs to"),
            Field("dunning_level", "integer", "level of the dunning notice"),
            Field("issued_on", "date", "day of the document", required=True),
            Field("due_on", "date", "day on which it is due"),
            Field("paid_on", "date", "day on which it was paid in full"),
            Field("amount", "amount", "amount with VAT", required=True),
            Field("open_amount", "amount", "what is still open"),
            Field("currency", "text", "ISO 4217"),
            Field("branch_id", "text", "branch"),
            Field("receipt_number", "text", "receipt"),
        ),
        key=("item_id",),
        refers=_BRANCH,
    ),
    Entity(
        name="survey_answer",
        meaning="one answer of a survey or competition",
        own_fields=(
            Field("survey_id", "text", "the survey", required=True, identifies=True),
            Field("survey_name", "text", "name of the survey"),
            Field("response_id", "text", "the questionnaire that was filled in", identifies=True),
            Field("question_id", "text", "the question", required=True, identifies=True),
            Field("question", "text", "text of the question"),
            Field("answer", "text", "answer out of those that were offered"),
            Field("score", "quantity", "answer as a number"),
            Field("comment", "text", "answer in free text, kept in the vault only", personal=True),
            Field("answered_at", "instant", "when"),
            Field("branch_id", "text", "branch that it is about"),
            Field("receipt_number", "text", "receipt that it is about"),
        ),
        key=("survey_id", "response_id", "question_id", "party"),
        refers=_BRANCH,
    ),
    Entity(
        name="preference",
        meaning="what somebody likes, dislikes or plans to buy",
        own_fields=(
            Field(
                "preference_type", "code", "kind; preference if not mapped",
                allowed=("preference", "dislike", "planned_purchase"),
            ),
            Field("category", "text", "product group or topic", identifies=True),
            Field("product_ref", "text", "article", identifies=True),
            Field("value", "text", "what is preferred, such as a size or colour"),
            Field("planned_on", "date", "when it is to be bought"),
            Field("budget_amount", "amount", "what it may cost"),
            Field("currency", "text", "ISO 4217"),
            Field("stated_at", "instant", "when it was said"),
            Field("note", "text", "free text, kept in the vault only", personal=True),
        ),
        key=("preference_type", "category", "product_ref", "party"),
        refers={"product_ref": "product"},
        defaults={"preference_type": "preference"},
    ),
    Entity(
        name="warranty",
        meaning="a device with its warranty",
        own_fields=(
            Field("serial_number", "text", "serial number", required=True, identifies=True),
            Field("model", "text", "model", identifies=True),
            Field("product_ref", "text", "article", identifies=True),
            Field("purchased_on", "date", "day of the purchase"),
            Field("starts_on", "date", "first day of the warranty"),
            Field("ends_on", "date", "last day of the warranty", required=True),
            Field("branch_id", "text", "branch that sold it"),
            Field("receipt_number", "text", "receipt"),
        ),
        key=("serial_number", "model", "product_ref"),
        refers=_BRANCH_AND_PRODUCT,
    ),
    Entity(
        name="plan",
        meaning="expected revenue of a branch and period",
        own_fields=(
            Field("branch_id", "text", "branch", required=True, identifies=True),
            Field("starts_on", "date", "first day of the period", required=True),
            Field("period", "code", "how long it is; day if not mapped", allowed=("day", "week", "month", "year")),
            Field("category_l1", "text", "product group, where the plan is by group", identifies=True),
            Field("revenue_amount", "amount", "expected revenue with VAT", required=True),
            Field("currency", "text", "ISO 4217"),
        ),
        key=("branch_id", "starts_on", "period", "category_l1"),
        personal=False,
        names_party=False,
        refers=_BRANCH,
        defaults={"period": "day"},
    ),
    Entity(
        name="product_reference",
        meaning="what a system calls a product of the chain",
        own_fields=(
            Field("system", "text", "system that calls it so, see systems in products.yml; all if not mapped", identifies=True),
            Field("kind", "code", "kind of the name", required=True, identifies=True, allowed=("gtin", "sku", "vendor_id")),
            Field("value", "text", "the GTIN, SKU or vendor's number", required=True, identifies=True),
            Field("product_id", "text", "product number of the chain", required=True, identifies=True),
            Field("pack_factor", "quantity", "pieces of the product in it; 1 if not mapped"),
            *_VALIDITY,
        ),
        key=("system", "kind", "value", "product_id", "valid_from"),
        personal=False,
        names_party=False,
    ),
    Entity(
        name="category",
        meaning="a category of a system and the product group of the chain that it stands for",
        own_fields=(
            Field("system", "text", "system that has the category, see systems in products.yml", required=True, identifies=True),
            Field("category_ref", "text", "the category as the system names it", required=True, identifies=True),
            Field("category_l1", "text", "product group, level 1", required=True),
            Field("category_l2", "text", "product group, level 2"),
            Field("category_l3", "text", "product group, level 3"),
        ),
        key=("system", "category_ref"),
        personal=False,
        names_party=False,
    ),
    Entity(
        name="bundle_component",
        meaning="one product in a bundle or set",
        own_fields=(
            Field("bundle_id", "text", "product number of the set", required=True, identifies=True),
            Field("product_id", "text", "product number of what is in it", required=True, identifies=True),
            Field("quantity", "quantity", "how many pieces of it; 1 if not mapped"),
            Field("list_price", "price", "usual price of one piece with VAT; that of the product if not mapped"),
            *_VALIDITY,
        ),
        key=("bundle_id", "product_id", "valid_from"),
        personal=False,
        names_party=False,
    ),
    Entity(
        name="price_list",
        meaning="the price of a product in a branch and channel, and from when to when",
        own_fields=(
            Field("product_id", "text", "product number of the chain", required=True, identifies=True),
            Field("branch_id", "text", "branch; all if not mapped", identifies=True),
            Field("channel", "text", "order channel; all if not mapped", identifies=True),
            Field("price", "price", "price of one unit", required=True),
            Field("currency", "text", "ISO 4217", identifies=True),
            Field("includes_tax", "boolean", "whether the price includes VAT; yes if not mapped", identifies=True),
            *_VALIDITY,
        ),
        key=("product_id", "branch_id", "channel", "currency", "includes_tax", "valid_from"),
        personal=False,
        names_party=False,
        refers=_BRANCH,
    ),
    Entity(
        name="stock",
        meaning="how much of a product a branch has at the end of a day",
        own_fields=(
            Field("product_id", "text", "product number of the chain", required=True, identifies=True),
            Field("branch_id", "text", "branch", required=True, identifies=True),
            Field("stock_date", "date", "the day", required=True, identifies=True),
            Field("quantity", "quantity", "how much is there", required=True),
            Field("unit", "text", "unit of the quantity; pieces if not mapped"),
        ),
        key=("product_id", "branch_id", "stock_date"),
        personal=False,
        names_party=False,
        refers=_BRANCH,
    ),
)  # fmt: skip

BY_NAME = {entity.name: entity for entity in ENTITIES}
# Fields that may stand under ``columns``, by what a record is about.
FIELDS: dict[str, tuple[Field, ...]] = ENTITY_FIELDS | {entity.name: entity.fields for entity in ENTITIES}
