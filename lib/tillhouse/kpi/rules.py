"""``conf/kpis.yml``: what a chain decides about its figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from tillhouse.config import Config, read_model
from tillhouse.sources.delivery import Weekday
from tillhouse.strict import StrictModel

FILE = "kpis.yml"


class WeekAnomaly(StrictModel):
    """When a branch's week is conspicuous: by its deviation score, or by the mere change against the week before."""

    rule: Literal["score", "change"] = "score"
    score_above: Decimal = Field(default=Decimal("3.5"), gt=0)
    change_above: Decimal = Field(default=Decimal("0.3"), gt=0)


class KpiRules(StrictModel):
    """How weeks are judged and compared."""

    closed_weekdays: tuple[Weekday, ...] = ()
    like_for_like_within: Decimal = Field(default=Decimal("0.1"), ge=0, lt=1)
    peers: Literal["format", "region"] = "format"
    week_anomaly: WeekAnomaly = WeekAnomaly()

    @model_validator(mode="after")
    def _is_open_at_all(self) -> Self:
        if len(set(self.closed_weekdays)) == 7:
            raise ValueError("key 'closed_weekdays' names all seven; leave out those on which the chain trades")
        return self


def load(config: Config) -> KpiRules:
    """The rules of a chain; without the file the defaults.

    Raises:
        ConfigError: the file is wrong.
    """
    path = config.conf_dir / FILE
    return read_model(KpiRules, path) if path.exists() else KpiRules()
