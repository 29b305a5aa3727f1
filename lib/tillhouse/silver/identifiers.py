"""One form for each kind of identifier, so that the same card, address or number is the same token wherever it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.keys import with_tokens

_EMAIL = r"^[^@\s]+@[^@\s]+[.][^@\s.]{2,}$"
_BESIDE_CARD, _MASKED = re.compile(r"[^0-9A-Z*•]"), re.compile(r"[*•]+|X{4,}")
_CARD_DIGITS, _CARD_TOKEN = 4, 12


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


def to_payment_card(text: str) -> str | None:
    """Letters and digits of a payment card as it is written; None if they are too few to tell one card from another.

    What is masked is no part of it. Four digits are enough, with or without a brand; so are twelve characters with a digit.
    """
    read = _MASKED.sub("", _BESIDE_CARD.sub("", text.upper()))
    digits = sum(character.isdigit() for character in read)
    return read if digits >= _CARD_DIGITS or (digits and len(read) >= _CARD_TOKEN) else None


READINGS: Mapping[str, Callable[[str], str | None]] = {"phone": to_e164, "payment_card": to_payment_card}


def with_token(rows: DataFrame, column: str, kind: str, name: str, token_key: bytes | None) -> DataFrame:
    """Rows with the keyed token (``name``) of an identifier that few of them have; without a key none has any."""
    if token_key is None:
        return rows.withColumn(name, F.lit(None).cast("string"))
    told = rows.where(F.col(column).isNotNull()).select(column).distinct()
    tokens = with_tokens(told, {column: kind}, token_key, READINGS).withColumnRenamed(f"{column}_token", name)
    return rows.join(F.broadcast(tokens), on=column, how="left")
