"""``conf/returns.yml``: what a chain decides about its returns. Names and thresholds, no logic."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from tillhouse.strict import StrictModel


class ReturnRules(StrictModel):
    """How long goods may be brought back, how sure a link has to be, and what the tills' reasons mean."""

    window_days: int = Field(default=30, ge=0, le=3650, strict=True)
    least_confidence: Decimal = Field(default=Decimal("0.8"), ge=0, le=1)
    reasons: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_text_once(self) -> Self:
        seen: dict[str, str] = {}
        for reason, texts in self.reasons.items():
            for text in (reason, *texts):
                other = seen.setdefault(_plain(text), reason)
                if other != reason:
                    raise ValueError(f"key 'reasons.{reason}': {text!r} is {other} already; a text means one reason")
        return self

    @property
    def reason_of(self) -> Mapping[str, str]:
        """The reason that each text means, by the text in small letters; a reason's own name means itself."""
        return {_plain(text): reason for reason, texts in self.reasons.items() for text in (reason, *texts)}


def _plain(text: str) -> str:
    return text.strip().lower()
