"""How numbers and ISO times are written in exports: what the mapping engine, the limits for files and the profile all go by.

Regular expressions are of the kind that Java and other engines read alike: no look-around, no back-reference.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tillhouse.sources.model import Locale

ISO_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
ISO_TIME = "[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?"
OFFSET = " ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
# Blanks around and inside numbers, those included that do not break a line.
_BLANK = r"[ \t\u00a0\u202f]"
GROUPING_MARKS = {"": "", ".": ".", ",": ",", "'": "'\u2019", " ": " \u00a0\u202f"}


def number_pattern(locale: Locale) -> str:
    """A number as the locale says, its groups: the sign before, the digits, the sign behind.

    A minus may stand before or behind, or be written as parentheses; grouping marks stand only where thousands are. What
    may stand beside the number (``strip``) may not stand inside of it: 12€50 is not 1250.
    """
    grouping, decimal = GROUPING_MARKS[locale.grouping], rf"[{locale.decimal}]"
    whole = rf"(?:[0-9]{{1,3}}(?:[{grouping}][0-9]{{3}})+|[0-9]+)" if grouping else "[0-9]+"
    marks = "|".join(re.escape(mark.strip()) for mark in locale.strip)
    beside = rf"{_BLANK}*+(?:(?:{marks}){_BLANK}*+)?" if marks else rf"{_BLANK}*+"
    return rf"{beside}([+(-]?){beside}({whole}(?:{decimal}[0-9]+)?|{decimal}[0-9]+){beside}([)-]?){beside}"


def to_number(text: str, locale: Locale) -> Decimal | None:
    """The number in a text; None if it is not written as the locale says."""
    found = re.fullmatch(number_pattern(locale), text)
    if found is None or found[1] + found[3] not in ("", "+", "-", "()"):
        return None
    digits = found[2].translate(str.maketrans(locale.decimal, ".", GROUPING_MARKS[locale.grouping]))
    return -Decimal(digits) if found[1] + found[3] in ("-", "()") else Decimal(digits)
