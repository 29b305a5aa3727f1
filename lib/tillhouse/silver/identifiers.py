"""One form for each kind of identifier, so that the same card, address or number is the same token wherever it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

_EMAIL = r"^[^@\s]+@[^@\s]+[.][^@\s.]{2,}$"


def one_form(text: Column, kind: str, region: Column) -> Column:
    """The form of an identifier of which the token is made; NULL where it is none. ``region``: country of a phone number.

    A phone number gets its country before it, and is read where the token is made (``READINGS``).
    """
    match kind:
        case "email":
            lower = F.lower(F.trim(text))
            return F.when(lower.rlike(_EMAIL), lower)
        case "card":
            return _given(without_blanks(text))
        case "customer_number":
            return _given(F.upper(without_blanks(text)))
        case "tax_id":
            return _given(F.upper(F.regexp_replace(text, r"[^\p{L}\p{N}]", "")))
        case "phone":
            return F.concat(F.coalesce(region, F.lit("ZZ")), F.lit(" "), text)
        case _:
            return text


def without_blanks(text: Column) -> Column:
    return F.regexp_replace(text, r"[\s\u00a0\u202f]", "")


def _given(text: Column) -> Column:
    return F.nullif(text, F.lit(""))


def to_e164(text: str) -> str | None:
    """A phone number in international form, by the two letters of its country before it; None if it can be none."""
    import phonenumbers  # noqa: PLC0415 - its tables are large, and few sources need them

    region, number = text[:2], text[3:]
    try:
        read = phonenumbers.parse(number, None if region == "ZZ" else region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(read) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    read.extension = None
    return str(phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164))


READINGS: Mapping[str, Callable[[str], str | None]] = {"phone": to_e164}
