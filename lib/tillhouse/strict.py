"""Base of everything that is read from YAML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"(\d+) ?(day|hour)s?")


class StrictModel(BaseModel):
    """Immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """The nearest of what is allowed, in parentheses; empty where nothing is near."""
    near = difflib.get_close_matches(word, list(allowed), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def to_duration(text: object) -> timedelta:
    """``3 days`` or ``12 hours``."""
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no duration; write for example 3 days or 12 hours")
    return timedelta(**{f"{found[2]}s": int(found[1])})


Duration = Annotated[timedelta, BeforeValidator(to_duration)]
