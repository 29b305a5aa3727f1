"""``conf/insight.yml``: periods, windows and limits of the figures about customers and of the flags."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import Field

from tillhouse.config import Config, read_model
from tillhouse.strict import StrictModel

FILE = "insight.yml"


class Affinity(StrictModel):
    """Which pairs of products are told: KPI 18."""

    window_days: int = Field(default=365, ge=1)
    minimum_baskets: int = Field(default=50, ge=1)
    minimum_pairs: int = Field(default=10, ge=1)
    level: Literal["product_id", "category_l3", "category_l2"] = "product_id"


class ReturnHotspots(StrictModel):
    """When the returns of a product group in a branch are conspicuous: KPI 19."""

    false_discovery_rate: Decimal = Field(default=Decimal("0.01"), gt=0, lt=1)
    minimum_returned_receipts: int = Field(default=3, ge=1)
    minimum_sold_lines: int = Field(default=20, ge=1)
    trend_weeks: int = Field(default=8, ge=4)


class Reorder(StrictModel):
    """Whose silence is conspicuous, and when: KPI 21. ``news_days``: for how long a signal about the last purchase is told."""

    population: Literal["B2B", "B2C", "all"] = "B2B"
    minimum_gaps: int = Field(default=6, ge=2)
    news_days: int = Field(default=7, ge=1)
    spreads: Decimal = Field(default=Decimal(3), gt=0)
    horizon_days: int = Field(default=28, ge=1)
    quantity_drop: Decimal = Field(default=Decimal("0.5"), gt=0, lt=1)
    by_product_line: bool = False


class InsightRules(StrictModel):
    """How figures about customers are computed. ``every``: customers are measured at the beginning of each such period."""

    every: Literal["month", "quarter"] = "quarter"
    rfm_ties: Literal["order", "equal"] = "order"
    online_channels: tuple[str, ...] = ("online", "web", "app", "shop", "ecommerce")
    repurchase_windows: tuple[int, ...] = (30, 90, 365)
    affinity: Affinity = Affinity()
    returns: ReturnHotspots = ReturnHotspots()
    reorder: Reorder = Reorder()


def load(config: Config) -> InsightRules:
    """The rules of a chain; without the file the defaults.

    Raises:
        ConfigError: the file is wrong.
    """
    path = config.conf_dir / FILE
    return read_model(InsightRules, path) if path.exists() else InsightRules()


def period_starts(first: date, as_of: date, every: Literal["month", "quarter"]) -> list[date]:
    """The days as of which customers are measured: the beginning of each period after the first day, and ``as_of``."""
    months = {"month": 1, "quarter": 3}[every]
    starts: list[date] = []
    year, month = first.year, (first.month - 1) // months * months + 1
    while True:
        month += months
        year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
        start = date(year, month, 1)
        if start >= as_of:
            return [*starts, as_of]
        starts.append(start)
