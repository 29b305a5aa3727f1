"""Personal fields in a form that can be compared. Pure functions of single values; no table, file or session is known here.

What a function returns serves for comparing alone and is never shown or written back: the vault keeps what was delivered.
``None`` stands for "says nothing": missing, a placeholder, or too damaged to be compared.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

import cologne_phonetics
import ftfy
import phonenumbers
from stdnum import ean, luhn

_LETTERS_WITHOUT_ACCENT = str.maketrans("äåæöøœüłđðþ", "aaaoooulddt")
# ae, oe, ue for an umlaut; after a vowel or q the e belongs to the next syllable (Bauer, Feuer, Quelle)
_UMLAUT_IN_FULL = re.compile(r"(?<![aeiouyq])([aou])e+")
_TITLES = frozenset(
    ("dr", "prof", "professor", "dipl", "ing", "mag", "med", "phil", "jur", "rer", "nat", "habil", "hc", "mba", "msc", "bsc",
     "ma", "ba", "lic", "oec", "pol", "dent", "vet", "theol", "magister", "herr", "frau", "hr", "fr", "herrn", "mr", "mrs", "ms",
     "miss", "sir", "fam", "familie", "eheleute", "firma", "fa")
)  # fmt: skip
_PARTICLES = frozenset(
    ("von", "vom", "zu", "zum", "zur", "van", "de", "der", "den", "del", "della", "di", "da", "dos", "du", "le", "la", "ten",
     "ter", "af", "auf", "und", "v")
)  # fmt: skip
_GENERATIONS = {
    "jun": "junior", "jr": "junior", "junior": "junior", "jung": "junior",
    "sen": "senior", "sr": "senior", "senior": "senior",
}  # fmt: skip
_NO_NAMES = frozenset(
    ("laufkunde", "barkunde", "kunde", "kundin", "unbekannt", "anonym", "anonymous", "gast", "test", "tester", "nn", "na", "none",
     "null", "keine", "keiner", "kein", "divers", "diverse", "unknown", "guest", "customer", "cash", "muster", "mustermann",
     "musterfrau", "xxx", "xx")
)  # fmt: skip
_COMPANY_FORMS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("gmbh", "co", "kgaa"), "gmbh & co kgaa"), (("gmbh", "co", "kg"), "gmbh & co kg"), (("gmbh", "co", "ohg"), "gmbh & co ohg"),
    (("ug", "co", "kg"), "ug & co kg"), (("ag", "co", "kg"), "ag & co kg"), (("ggmbh",), "ggmbh"), (("gmbh",), "gmbh"),
    (("kgaa",), "kgaa"), (("co", "kg"), "kg"), (("co", "ohg"), "ohg"), (("kg",), "kg"), (("ohg",), "ohg"), (("ag",), "ag"),
    (("se",), "se"), (("ug",), "ug"), (("ek",), "ek"), (("ekfr",), "ek"), (("gbr",), "gbr"), (("ev",), "ev"), (("eg",), "eg"),
    (("sarl",), "sarl"), (("sagl",), "sarl"), (("ltd",), "ltd"), (("inc",), "inc"), (("llc",), "llc"), (("sa",), "sa"),
    (("og",), "og"), (("partg",), "partg"),
)  # fmt: skip
_FORMS_IN_FULL = (
    (re.compile(r"\bg\.?\s?m\.?\s?b\.?\s?h\b\.?", re.I), "gmbh"),
    (re.compile(r"\bgesellschaft (?:mit beschränkter haftung|m\.?\s?b\.?\s?h\.?)", re.I), "gmbh"),
    (re.compile(r"\bmbh\b", re.I), "gmbh"),
    (re.compile(r"\bu\.?\s?g\.?\s?\(?haftungsbeschränkt\)?", re.I), "ug"),
    (re.compile(r"\be\.\s?k\.(?:\s?fr\.)?", re.I), "ek"),
    (re.compile(r"\be\.\s?v\.", re.I), "ev"),
    (re.compile(r"\be\.\s?g\.", re.I), "eg"),
    (re.compile(r"\ba\.\s?g\.", re.I), "ag"),
    (re.compile(r"\bk\.\s?g\.", re.I), "kg"),
    (re.compile(r"\bo\.\s?h\.\s?g\.", re.I), "ohg"),
    (re.compile(r"\baktiengesellschaft\b", re.I), "ag"),
    (re.compile(r"\bkommanditgesellschaft\b", re.I), "kg"),
    (re.compile(r"\beingetragene[rs]? (?:kaufmann|kauffrau)\b", re.I), "ek"),
    (re.compile(r"\beingetragener verein\b", re.I), "ev"),
)
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~\-äöüß]+@[a-z0-9äöüß](?:[a-z0-9äöüß\-.]*[a-z0-9äöüß])?\.[a-z]{2,}")
_NATIONAL_ZERO = re.compile(r"\(\s*0\s*\)")  # +49 (0)351: dialled inside of the country only
_NO_MAILBOXES = frozenset(
    ("kunde", "kunden", "noreply", "no-reply", "donotreply", "keine", "kein", "keinemail", "unbekannt", "unknown", "none", "null",
     "test", "na", "n.a", "x", "xx", "xxx", "anonym", "mail", "email", "no", "nomail")
)  # fmt: skip
_STREET = re.compile(r"(?<=[^\W\d_])(?:straße|strasse|str\.?)(?=\W|$)|\b(?:straße|strasse|str)\b\.?")
_HOUSE_NUMBER = re.compile(r"\b(\d+)\s*([a-z])?(?:\s*[-/+–]\s*(\d+)\s*([a-z])?)?\s*$")
_HOUSE_NUMBER_FIRST = re.compile(r"^\s*(\d+)\s*([a-z])?\b[\s,]+(?=[^\W\d])")
_COUNTRY_OF_POSTCODE = re.compile(r"^(?:D|DE|A|AT|CH|FL|LI|L|LU)\s*[-–]?\s*(?=\d)", re.I)
_POSTCODE_LENGTH = {"DE": 5, "AT": 4, "CH": 4, "LI": 4, "LU": 4}
_NO_BIRTH_DATES = frozenset(
    {date(1900, 1, 1), date(1900, 1, 2), date(1901, 1, 1), date(1899, 12, 30), date(1899, 12, 31), date(1970, 1, 1),
     date(1, 1, 1), date(1111, 11, 11), date(1800, 1, 1), date(1753, 1, 1)}
)  # fmt: skip
OLDEST = 115


@dataclass(frozen=True, slots=True)
class Name:
    """A person's name for comparing: folded words without titles; particles (von, de) and junior/senior stand apart."""

    given: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    particles: tuple[str, ...] = ()
    generation: str | None = None


def clean(text: str | None) -> str | None:
    """Readable text: mojibake repaired (MÃ¼ller is Müller), one form of each character (NFKC), single blanks."""
    if text is None:
        return None
    repaired = " ".join(ftfy.fix_text(text, normalization="NFKC", uncurl_quotes=True).split())
    return repaired or None


def fold(text: str) -> str:
    """Lower case without accents; an umlaut, its base letter and its spelling with e are one (Müller, Muller, Mueller)."""
    lowered = text.casefold().translate(_LETTERS_WITHOUT_ACCENT)
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(letter))
    return _UMLAUT_IN_FULL.sub(r"\1", plain)


def words(text: str | None) -> tuple[str, ...]:
    """The folded words of a text; hyphens and other marks separate, apostrophes do not."""
    cleaned = clean(text)
    if cleaned is None:
        return ()
    return tuple(re.findall(r"[^\W_]+", fold(re.sub(r"['’`´]", "", cleaned))))


def person_name(given: str | None, family: str | None, full: str | None = None) -> Name:
    """A name from its parts, or from ``full`` where those are missing ("Dr. Hans von Berg", "Berg, Hans").

    Titles and salutations go. A name that stands for nobody (Laufkunde, N. N.) is empty.
    """
    if not (clean(given) or clean(family)) and full:
        given, family = _split(full)
    first, last = _name_words(given), _name_words(family)
    generation = next((_GENERATIONS[word] for word in (*first, *last) if word in _GENERATIONS), None)
    first, last = _without(first, _GENERATIONS), _without(last, _GENERATIONS)
    particles = tuple(word for word in last if word in _PARTICLES) if len(last) > 1 else ()
    last = tuple(word for word in last if word not in _PARTICLES) or last
    trailing = tuple(word for word in first if word in _PARTICLES) if len(first) > 1 else ()
    first = tuple(word for word in first if word not in _PARTICLES) or first
    return Name(first, last, (*trailing, *particles), generation)


def _split(full: str) -> tuple[str | None, str | None]:
    """Given and family name; a particle begins the family name."""
    text = clean(full)
    if text is None:
        return None, None
    if text.count(",") == 1:
        family, given = text.split(",")
        return given, family
    parts = [part for part in text.split() if part.strip(".").casefold() not in _TITLES]
    if len(parts) < 2:
        return None, " ".join(parts) or None
    start = next((place for place, part in enumerate(parts[1:], 1) if part.casefold() in _PARTICLES), len(parts) - 1)
    if parts[-1].strip(".").casefold() in _GENERATIONS and start == len(parts) - 1 and len(parts) > 2:
        start -= 1
    return " ".join(parts[:start]), " ".join(parts[start:])


def _name_words(text: str | None) -> tuple[str, ...]:
    found = tuple(word for word in words(text) if word not in _TITLES and not word.isdigit())
    return () if found and all(word in _NO_NAMES for word in found) else found


def _without(found: tuple[str, ...], left_out: dict[str, str]) -> tuple[str, ...]:
    return tuple(word for word in found if word not in left_out)


def phonetic(word: str) -> str:
    """Kölner Phonetik (Postel 1969) of one word: names that sound alike in German have the same code."""
    return " ".join(code for _, code in cologne_phonetics.encode(word))


def email(text: str | None) -> str | None:
    """An address as delivered but in lower case; None for what is no address or stands for none (kunde@..., noreply@...)."""
    cleaned = clean(text)
    if cleaned is None:
        return None
    address = cleaned.lower().removeprefix("mailto:").strip(" <>;,.\"'")
    if not _EMAIL.fullmatch(address):
        return None
    return None if address.split("@")[0] in _NO_MAILBOXES or address.endswith((".invalid", "@example.com")) else address


def comparable_email(address: str) -> str:
    """The mailbox behind an address: without plus tag; dots in a Gmail name mean nothing; googlemail.com is gmail.com."""
    local, domain = address.rsplit("@", 1)
    local = local.split("+", 1)[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def phone(text: str | None, region: str) -> str | None:
    """A number in E.164 without extension; ``region`` (ISO 3166) is that of numbers without a country code."""
    cleaned = clean(text)
    if cleaned is None:
        return None
    try:
        number = phonenumbers.parse(_NATIONAL_ZERO.sub("", cleaned) if cleaned.startswith(("+", "00")) else cleaned, region)
    except phonenumbers.NumberParseException:
        return None
    national = str(number.national_number)
    is_placeholder = len(set(national)) <= 2 or national in "123456789012345678901234567890"
    if is_placeholder or not phonenumbers.is_possible_number(number):
        return None
    number.extension = None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def street(text: str | None) -> tuple[str | None, str | None]:
    """Street and house number: Straße, Strasse and Str. are one; 12 A and 12a are one; of a range (12-14) the first counts."""
    cleaned = clean(text)
    if cleaned is None:
        return None, None
    lowered = cleaned.casefold().replace("ß", "ss")
    number = None
    found = _HOUSE_NUMBER.search(lowered)
    if found and found.start() > 0:
        lowered, number = lowered[: found.start()], f"{int(found[1])}{found[2] or ''}"
    elif found := _HOUSE_NUMBER_FIRST.search(lowered):
        lowered, number = lowered[found.end() :], f"{int(found[1])}{found[2] or ''}"
    name = fold("".join(re.findall(r"[^\W_]+", fold(_STREET.sub("str", lowered)))))
    return name or None, number


def postal_code(text: str | None, country: str) -> str | None:
    """A postal code without country mark; a zero that a spreadsheet has lost is put back."""
    cleaned = clean(text)
    if cleaned is None:
        return None
    code = re.sub(r"\s+", "", _COUNTRY_OF_POSTCODE.sub("", cleaned)).upper()
    length = _POSTCODE_LENGTH.get(country)
    if length is None or not code.isdigit():
        return code if re.fullmatch(r"[A-Z0-9\-]{3,10}", code) else None
    code = code.zfill(length)
    return code if len(code) == length and len(set(code)) > 1 else None


def city(text: str | None) -> str | None:
    """A place without what stands behind a comma, a slash or in parentheses, and without am Main and the like."""
    cleaned = clean(text)
    if cleaned is None:
        return None
    name = re.split(r"[,/(]|\s(?:am|an der|a\.|im|in|bei|b\.|ob der|i\.)\s", f"{cleaned} ", maxsplit=1, flags=re.I)[0]
    return fold("".join(words(name))) or None


def company(text: str | None) -> tuple[str | None, str | None]:
    """A company's name without its legal form, and that form: G.m.b.H. is GmbH, mbH & Co. KG is GmbH & Co. KG."""
    cleaned = clean(text)
    if cleaned is None:
        return None, None
    for pattern, form in _FORMS_IN_FULL:
        cleaned = pattern.sub(f" {form} ", cleaned)
    found = tuple(word for word in words(cleaned.replace("&", " ")) if word not in ("firma", "fa"))
    for words_of_form, name in _COMPANY_FORMS:
        place = _find(found, words_of_form)
        if place is not None and len(found) > len(words_of_form):
            rest = found[:place] + found[place + len(words_of_form) :]
            return " ".join(rest), name
    return " ".join(found) or None, None


def _find(found: tuple[str, ...], form: tuple[str, ...]) -> int | None:
    """Where a legal form stands in a name; at its end rather than at its beginning."""
    places = [place for place in range(len(found) - len(form), -1, -1) if found[place : place + len(form)] == form]
    return places[0] if places else None


def birth_date(day: date | None, today: date | None) -> date | None:
    """A birth date; None for those that systems fill in where nobody knows it, and for impossible ones.

    ``today`` is the day on which it was told; without it only the former are known.
    """
    if day is None or day in _NO_BIRTH_DATES or (today is not None and day > today):
        return None
    return day if today is None or today.year - day.year <= OLDEST else None


def card_number(text: str | None, check_digit: str | None) -> str | None:
    """Digits and letters of a card; None where its check digit (``ean13`` or ``luhn``) does not fit or all digits are equal."""
    cleaned = clean(text)
    if cleaned is None:
        return None
    number = re.sub(r"[^0-9A-Za-z]", "", cleaned).upper()
    if len(set(number)) <= 1:
        return None
    if check_digit == "ean13":
        return number if len(number) == 13 and ean.is_valid(number) else None
    if check_digit == "luhn":
        return number if luhn.is_valid(number) else None
    return number
