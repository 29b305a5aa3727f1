"""What must be equal of the customers: every contact, consent, version and record, by the keys that people know."""

from __future__ import annotations

TABLES = (
    "silver.party", "silver.consent", "silver.record_version", "silver.campaign", "silver.campaign_contact", "silver.coupon",
    "silver.coupon_redemption", "silver.ticket", "silver.open_item", "silver.warranty", "vault.party",
    "silver.party_customer",
)  # fmt: skip
# Whom a record names, as it was delivered.
_NAMED = """(
    SELECT party_key, coalesce(contact_id, customer_number, card_number, emails[1], phones[1]) AS named_by FROM vault_party
)"""
_INSTANT = "strftime({}, '%Y-%m-%dT%H:%M:%SZ')"
# For each kind of record what stands in the columns of truth/expected_records.csv; what it does not have is empty.
_COLUMNS = {
    "campaign": {
        "record_id": "campaign_id", "begins": "starts_on", "ends": "ends_on", "state": "campaign_type", "amount": "cost_amount",
    },
    "campaign_contact": {
        "record_id": "campaign_id || '/' || named_by", "named_by": "named_by", "begins": _INSTANT.format("occurred_at"),
        "state": "event",
    },
    "coupon": {
        "record_id": "concat_ws('/', coupon_id, campaign_id, product_ref)", "product_ref": "product_ref", "begins": "starts_on",
        "ends": "ends_on", "amount": "discount_amount",
    },
    "coupon_redemption": {
        "record_id": "concat_ws('/', coupon_id, campaign_id, redeemed_on, named_by)", "named_by": "named_by",
        "branch_id": "branch_id", "receipt_number": "receipt_number", "begins": "redeemed_on", "amount": "discount_amount",
    },
    "ticket": {
        "record_id": "ticket_id", "named_by": "named_by", "branch_id": "branch_id", "product_ref": "product_ref",
        "receipt_number": "receipt_number", "begins": _INSTANT.format("opened_at"), "ends": _INSTANT.format("closed_at"),
        "state": "status",
    },
    "open_item": {
        "record_id": "item_id", "named_by": "named_by", "branch_id": "branch_id", "begins": "issued_on", "ends": "paid_on",
        "state": "item_type || coalesce(dunning_level::VARCHAR, '')", "amount": "amount", "open_amount": "open_amount",
    },
    "warranty": {
        "record_id": "concat_ws('/', serial_number, model, product_ref)", "named_by": "named_by", "branch_id": "branch_id",
        "product_ref": "product_ref", "receipt_number": "receipt_number", "begins": "starts_on", "ends": "ends_on",
    },
}  # fmt: skip
_OF_TRUTH = (
    "source", "record_id", "named_by", "branch_id", "product_ref", "receipt_number", "begins", "ends", "state", "amount",
    "open_amount",
)  # fmt: skip


def _rows(entity: str) -> str:
    named = f" LEFT JOIN {_NAMED} USING (party_key)" if "named_by" in _COLUMNS[entity] else ""
    return f"{entity}{named}"


def _records(entity: str) -> tuple[str, str]:
    """Rows of the truth and of the lake for a kind of record, in the columns of the truth."""
    found = {"source": "source", **_COLUMNS[entity]}
    empty = (f"coalesce({found[name]}::VARCHAR, '')" if name in found else "''" for name in _OF_TRUTH)
    told = ", ".join(f"coalesce({name}, '')" for name in _OF_TRUTH)
    return (
        f"SELECT {told} FROM expected_records WHERE entity = '{entity}'",
        f"SELECT {', '.join(empty)} FROM {_rows(entity)}",
    )


# The name of each record that has a surrogate, as people know it.
NAMES = " UNION ALL ".join(
    [
        "SELECT party_key AS record_key, contact_id AS record_id FROM vault_party WHERE contact_id IS NOT NULL",
        *(f"SELECT record_key, {_COLUMNS[entity]['record_id']} FROM {_rows(entity)}" for entity in _COLUMNS),
    ]
)
_CONTACT = (
    "card_number", "customer_number", "given_name", "family_name", "company", "birth_date", "street", "postal_code", "city",
    "country",
)  # fmt: skip
_CURRENT = "FROM parties WHERE status = 'current'"
_OF_CONTACTS = "source IN (SELECT source FROM parties)"

OF_CUSTOMERS = {
    "contacts of loyalty scheme, CRM and shop, as they are": (
        f"""SELECT source, source_id, coalesce(email, ''), coalesce(phones, ''),
                   {", ".join(f"coalesce({name}, '')" for name in _CONTACT)} {_CURRENT}""",
        f"""SELECT source, contact_id, coalesce(array_to_string(emails, '; '), ''), coalesce(array_to_string(phones, '; '), ''),
                   {", ".join(f"coalesce({name}::VARCHAR, '')" for name in _CONTACT)}
            FROM vault_party WHERE {_OF_CONTACTS}""",
    ),
    "which of them are persons, companies, complete": (
        f"SELECT source, source_id, party_type, is_complete = 'True' {_CURRENT}",
        f"""SELECT party.source, contact_id, party_type, is_complete FROM party JOIN vault_party USING (party_key)
            WHERE party.{_OF_CONTACTS}""",
    ),
    "their versions: current, taken back, superseded, repeated, rejected": (
        "SELECT source, status, records::BIGINT FROM expected_versions",
        f"SELECT source, status, count(*) FROM record_version WHERE {_OF_CONTACTS} GROUP BY ALL",
    ),
    "their consents by channel, purpose, state and proof": (
        "SELECT source, source_id, channel, purpose, state, coalesce(proof, '') FROM expected_consents",
        """SELECT consent.source, contact_id, channel, purpose, state, coalesce(proof, '')
           FROM consent JOIN vault_party USING (party_key)""",
    ),
    **{f"records: {entity}": _records(entity) for entity in _COLUMNS},
}

# Contacts; pairs of them of one person; of one customer; both; of one customer and household.
IDENTITIES = """
    WITH contact AS (
        SELECT person_id, household_id, customer_id
        FROM parties
        JOIN vault_party ON vault_party.source = parties.source AND contact_id = source_id
        JOIN party_customer USING (party_key)
        WHERE status = 'current' AND valid_to_run IS NULL
    ), grouped AS (
        SELECT grouping(person_id) AS p, grouping(customer_id) AS c, grouping(household_id) AS h, count(*) AS n
        FROM contact
        GROUP BY GROUPING SETS ((person_id), (customer_id), (person_id, customer_id), (customer_id, household_id))
    )
    SELECT (SELECT count(*) FROM contact),
           coalesce(sum(n * (n - 1) / 2) FILTER (p = 0 AND c = 1), 0), coalesce(sum(n * (n - 1) / 2) FILTER (p = 1 AND h = 1), 0),
           coalesce(sum(n * (n - 1) / 2) FILTER (p = 0 AND c = 0), 0), coalesce(sum(n * (n - 1) / 2) FILTER (h = 0), 0)
    FROM grouped
"""
