"""Records of persons and companies in comparable form: one row in, one row out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import pandas as pd

from tillhouse.identity import normalise
from tillhouse.identity.columns import COLUMNS, LISTS, TEXTS
from tillhouse.identity.model import frequency_token
from tillhouse.identity.nicknames import roots

UNKNOWN = 1e-3  # a name that the model does not know: neither a rare one nor a frequent one, for it may be frequent elsewhere

_COUNTRIES = {
    "deutschland": "DE", "germany": "DE", "d": "DE", "de": "DE", "osterreich": "AT", "austria": "AT", "a": "AT", "at": "AT",
    "schweiz": "CH", "suisse": "CH", "svizzera": "CH", "switzerland": "CH", "ch": "CH", "liechtenstein": "LI", "fl": "LI",
    "li": "LI",
    "luxemburg": "LU", "luxembourg": "LU", "l": "LU", "lu": "LU", "frankreich": "FR", "france": "FR", "italien": "IT",
    "italia": "IT",
    "niederlande": "NL", "polen": "PL", "belgien": "BE", "danemark": "DK", "tschechien": "CZ",
}  # fmt: skip

_CACHE = 200_000  # distinct values that a worker remembers
_person_name = lru_cache(_CACHE)(normalise.person_name)
_phonetic = lru_cache(_CACHE)(normalise.phonetic)
_street = lru_cache(_CACHE)(normalise.street)
_city = lru_cache(_CACHE)(normalise.city)
_postal_code = lru_cache(_CACHE)(normalise.postal_code)
_company = lru_cache(_CACHE)(normalise.company)
_token = lru_cache(_CACHE)(frequency_token)


@lru_cache(1000)
def region_of(country: str | None, default: str) -> str:
    """ISO 3166 of a country as systems write it; ``default`` where nothing is written or nothing is known of it."""
    found = "".join(normalise.words(country))
    return _COUNTRIES.get(found) or (found.upper() if len(found) == 2 else default)


def comparable(
    party: Mapping[str, Any], frequencies: Mapping[str, Mapping[str, float]], as_of: date | None, region: str = "DE",
    check_digit: str | None = None
) -> dict[str, Any]:  # fmt: skip
    """A row of ``vault.party`` in comparable form; what stands for nothing (placeholders, broken values) is missing."""
    name = _person_name(party["given_name"], party["family_name"], party.get("contact_person"))
    country = region_of(party["country"], region)
    given, family = (name.given[0] if name.given else None), (" ".join(name.family) or None)
    mailboxes = [normalise.comparable_email(address) for text in _list(party["emails"]) if (address := normalise.email(text))]
    street, house_number = _street(party["street"])
    company, _ = _company(party["company"])
    born = normalise.birth_date(party["birth_date"], as_of)
    card = normalise.card_number(party["card_number"], check_digit)
    return {
        "record_id": party["party_key"],
        "source": party["source"],
        "given": given,
        "given_sound": _phonetic(given) if given and len(given) > 1 else None,
        "family": family,
        "family_sound": _phonetic(family.replace(" ", "")) if family else None,
        "generation": name.generation,
        "birth_date": born.isoformat() if born else None,
        "street": street,
        "house_number": house_number,
        "postal_code": _postal_code(party["postal_code"], country),
        "city": _city(party["city"]),
        "tax_id": "".join(normalise.words(party["tax_id"])).upper() or None,
        "company": company,
        "given_names": _some(name.given),
        "given_roots": _some(roots(given)) if given and len(given) > 1 else None,
        "family_names": _some(name.family),
        "emails": _some(mailboxes),
        "email_names": _some(mailbox.split("@")[0] for mailbox in mailboxes),
        "phones": _some(number for text in _list(party["phones"]) if (number := normalise.phone(text, country))),
        "cards": _some([card] if card else []),
        "customer_numbers": _some([party["customer_number"]] if party["customer_number"] else []),
        "given_frequency": frequencies["given"].get(_token(given), UNKNOWN) if given else None,
        "family_frequency": frequencies["family"].get(_token(family), UNKNOWN) if family else None,
    }


def to_comparable(
    parties: pd.DataFrame, frequencies: Mapping[str, Mapping[str, float]], as_of: date | None, region: str,
    check_digit: str | None
) -> pd.DataFrame:  # fmt: skip
    """Each of the parties in comparable form."""
    plain = parties.astype(object).where(parties.notna(), None)
    rows = [comparable(party, frequencies, as_of, region, check_digit) for party in plain.to_dict("records")]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys((*TEXTS, *LISTS), object))


def _list(values: Any) -> list[str]:  # noqa: ANN401 - Arrow hands over arrays, pandas lists, either may be missing
    return [] if values is None else [value for value in values if value]


def _some(values: Any) -> list[str] | None:  # noqa: ANN401
    found = sorted(set(values))
    return found or None
