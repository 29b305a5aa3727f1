"""The columns of a record in comparable form."""

from __future__ import annotations

LISTS = (
    "given_names", "given_roots", "family_names", "emails", "email_names", "phones", "cards", "customer_numbers",
)  # fmt: skip
TEXTS = (
    "record_id", "source", "given", "given_sound", "family", "family_sound", "generation", "birth_date", "street", "house_number",
    "postal_code", "city", "tax_id", "company",
)  # fmt: skip
FREQUENCIES = ("given_frequency", "family_frequency")
COLUMNS = (*TEXTS, *LISTS, *FREQUENCIES)
SCHEMA = ", ".join(
    [
        *(f"{name} STRING" for name in TEXTS),
        *(f"{name} ARRAY<STRING>" for name in LISTS),
        *(f"{name} DOUBLE" for name in FREQUENCIES),
    ]
)
