"""``conf/products.yml``: what a chain decides about its products. Names, orders and thresholds, no logic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from tillhouse.strict import StrictModel

Level = Literal["category_l1", "category_l2", "category_l3"]
BundleColumn = Literal["product_id", "category_l1", "category_l2", "category_l3"]
Lookup = Literal["product_id", "sku", "vendor_id", "gtin"]


class Bundles(StrictModel):
    """Whether a set stays one line or becomes lines of its components; ``keep`` goes before ``explode``."""

    rule: Literal["keep", "explode"] = "keep"
    explode: dict[BundleColumn, tuple[str, ...]] = Field(default_factory=dict)
    keep: dict[BundleColumn, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def are_all_kept(self) -> bool:
        return self.rule == "keep" and not any(self.explode.values())


class ChannelPrices(StrictModel):
    """From which difference on two channels' prices of a product are an exception: above both."""

    above_share: Decimal = Field(default=Decimal(0), ge=0)
    above_amount: Decimal = Field(default=Decimal(0), ge=0)


class ReusedNumbers(StrictModel):
    """When a product number seems to stand for another article: its name has little left of the old one, and more has changed."""

    name_similarity_below: float = Field(default=0.5, ge=0, le=1)
    price_change_above: Decimal = Field(default=Decimal("0.5"), ge=0)


class ProductRules(StrictModel):
    """Which lines are counted as one item whatever their quantity, how lines find their product, and what sets become."""

    counted_by_line: dict[Level, tuple[str, ...]] = Field(default_factory=dict)
    piece_units: tuple[str, ...] = ()
    systems: dict[str, str] = Field(default_factory=dict)
    lookup: dict[str, tuple[Lookup, ...]] = Field(default_factory=dict)
    bundles: Bundles = Bundles()
    channel_prices: ChannelPrices = ChannelPrices()
    reused_numbers: ReusedNumbers = ReusedNumbers()

    @model_validator(mode="after")
    def _each_lookup_once(self) -> Self:
        for system, order in self.lookup.items():
            if not order or len(set(order)) != len(order):
                raise ValueError(f"key 'lookup.{system}': name each lookup once, for example [sku, gtin]")
        return self

    @property
    def looks_up(self) -> Mapping[str, tuple[Lookup, ...]]:
        """The lookups of each system whose lines do not simply carry the chain's product number."""
        return {system: order for system, order in self.lookup.items() if order != ("product_id",)}

    @property
    def of_master_data(self) -> tuple[object, ...]:
        """What decides which exceptions there are."""
        return (sorted(self.systems.items()), sorted(self.lookup.items()), self.bundles, self.channel_prices, self.reused_numbers)

    def names_of_sources(self, sources: Sequence[str]) -> Iterable[tuple[str, str, Sequence[str]]]:
        """Key, name, and what is allowed there, for every place that names a source or a system."""
        yield from (("systems", name, sources) for name in self.systems)
        known = sorted({*sources, *self.systems.values()} - self.systems.keys())
        yield from (("lookup", name, known) for name in self.lookup)
