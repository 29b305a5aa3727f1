"""Master data that decides what a receipt line is of, and which receipts are concerned where it has changed."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.gold import history
from tillhouse.gold.facts import is_measured
from tillhouse.gold.history import RECEIPT_DAY
from tillhouse.gold.product_groups import LEVELS, has_only_group, to_group_members
from tillhouse.products import lookup
from tillhouse.products.bundles import to_contents, to_shares
from tillhouse.products.lookup import CATEGORY_KEY
from tillhouse.products.rules import ProductRules
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, silver
from tillhouse.tables.entities import BUNDLE_COMPONENT, CATEGORY, PRODUCT_REFERENCE

_OF_BUNDLES = ("product_id", "list_price", "category_l1", "category_l2", "category_l3")


@dataclass(frozen=True)
class Masters:
    """The chain's rules, and what is delivered of cross-references, categories and sets; None where no source delivers it."""

    store: Store
    rules: ProductRules
    references: DataFrame | None
    categories: DataFrame | None
    components: DataFrame | None

    @classmethod
    def of(cls, store: Store, rules: ProductRules, delivered: AbstractSet[str]) -> Masters:
        def read(table: Table) -> DataFrame | None:
            return store.read(table) if table.name in delivered else None

        categories = read(CATEGORY)
        newest = None if categories is None else lookup.newest(categories, CATEGORY_KEY)
        return cls(store, rules, read(PRODUCT_REFERENCE), newest, read(BUNDLE_COMPONENT))

    def with_products(self, lines: DataFrame) -> DataFrame:
        """Lines under the chain's own product numbers."""
        if not self.rules.looks_up:
            return lines
        found = lookup.with_products(lines, self.references, self.store.read(silver.PRODUCT), self.rules)
        return self.store.keep(lookup.in_units_of_product(found))

    def shares(self) -> DataFrame | None:
        """Sets that are to be exploded; None if there are none."""
        if self.components is None or self.rules.bundles.are_all_kept:
            return None
        return to_shares(self.components, self.store.read(silver.PRODUCT), self.rules.bundles)

    def groups(self) -> DataFrame | None:
        return None if self.categories is None else to_group_members(self.categories)

    def has_news_of_members(self, since: Since) -> bool:
        """Whether dim_product may have other members than before, beside those that lines name."""
        has_categories = self.categories is not None and self.store.has_news(CATEGORY, since)
        return has_categories or self.store.has_news(silver.PRODUCT_VERSION, since)

    def touched(self, since: Since) -> list[DataFrame]:
        """Receipts (``RECEIPT_DAY``) of which a line is another product, version, group or set now, or is counted otherwise."""
        store, touched = self.store, history.touched(self.store, history.PRODUCT, since)
        lines = store.read(silver.RECEIPT_LINE)
        values = self._changed_values(since)
        if values is not None:
            touched.append(lookup.lines_of_values(lines, values, self.rules))
        if self.categories is not None and store.has_news(CATEGORY, since):
            before = lookup.newest(store.read_before(CATEGORY, since), CATEGORY_KEY).select(*CATEGORY_KEY, *LEVELS)
            changed = lookup.differing(before, self.categories.select(*CATEGORY_KEY, *LEVELS)).select(*CATEGORY_KEY).distinct()
            named = lines.where(has_only_group()).withColumn("system", lookup.system_of(self.rules))
            touched.append(named.join(F.broadcast(changed), on=list(CATEGORY_KEY), how="left_semi"))
        products = self._changed_bundles(since)
        if self.rules.counted_by_line and store.has_news(silver.PRODUCT_VERSION, since):
            before, after = (
                _measured(rows, self.rules)
                for rows in (store.read_before(silver.PRODUCT_VERSION, since), store.read(silver.PRODUCT_VERSION))
            )
            products.append(lookup.differing(before, after))
        products = [kept for frame in products if not (kept := store.keep(frame.distinct())).isEmpty()]
        if products:
            every = union(products).distinct()
            touched.append(store.read(gold.FCT_SALE_LINE).join(F.broadcast(every), on="product_id", how="left_semi"))
        return [rows.select(*RECEIPT_DAY) for rows in touched]

    def _changed_values(self, since: Since) -> DataFrame | None:
        """References (kind, value) that are new, gone, or of another product; None if nothing has changed."""
        if not self.rules.looks_up:
            return None
        store, changed = self.store, []
        if self.references is not None and store.has_news(PRODUCT_REFERENCE, since):
            before = lookup.to_references(store.read_before(PRODUCT_REFERENCE, since))
            changed.append(lookup.differing(before, lookup.to_references(self.references)).select("kind", "value"))
        if store.has_news(silver.PRODUCT, since):
            names = ["product_id", "gtin"]
            products = store.touched(silver.PRODUCT, since, names, names)
            changed.append(lookup.values_of_products(products).select("kind", "value"))
        return store.keep(union(changed).where("value IS NOT NULL")) if changed else None

    def _changed_bundles(self, since: Since) -> list[DataFrame]:
        """Sets (product_id) that are divided otherwise than before."""
        if self.components is None or self.rules.bundles.are_all_kept:
            return []
        store, changed = self.store, []
        if store.has_news(BUNDLE_COMPONENT, since):
            before = to_contents(store.read_before(BUNDLE_COMPONENT, since))
            changed.append(lookup.differing(before, to_contents(self.components)).select(F.col("bundle_id").alias("product_id")))
        if store.has_news(silver.PRODUCT, since):
            products = store.keep(store.touched(silver.PRODUCT, since, ["product_id"], _OF_BUNDLES))
            containing = self.components.join(F.broadcast(products), on="product_id", how="left_semi")
            changed += [products, containing.select(F.col("bundle_id").alias("product_id"))]
        return changed


def _measured(versions: DataFrame, rules: ProductRules) -> DataFrame:
    """Products (product_id) of which a line counts as one item, by the product groups that they are in now."""
    now = versions.groupBy("product_id").agg(F.max_by(is_measured(rules), "valid_from").alias("_is_measured"))
    return now.where("_is_measured").select("product_id")
