"""The silver step's part for products: their master data, and what is wrong in it and in lines that name products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.products import lookup
from tillhouse.products.rules import ProductRules
from tillhouse.silver import exceptions, master, products
from tillhouse.silver.exceptions import PRODUCT_UNKNOWN, Judged
from tillhouse.sources.model import Source
from tillhouse.store import Since, Store
from tillhouse.tables import Table, ops, silver
from tillhouse.tables.entities import BUNDLE_COMPONENT, CATEGORY, PRICE_LIST, PRODUCT_REFERENCE


@dataclass(frozen=True)
class Catalogue:
    """Sources and rules of the chain, and how far the step has come (``since``; None where everything is made anew)."""

    store: Store
    sources: Sequence[Source]
    rules: ProductRules
    since: Since | None

    @property
    def product_sources(self) -> list[Source]:
        """Sources whose news make products others than before."""
        kinds = ("product", CATEGORY.name) if self._maps("category_ref", "product") else ("product",)
        return [source for source in self.sources if source.entity in kinds]

    def completed(self, known: DataFrame, records: DataFrame) -> tuple[DataFrame, Judged]:
        """Products with their product groups and the top of their variants, and what is wrong between them.

        ``known``: products as last delivered; ``records``: all that was ever delivered of them.
        """
        found = []
        if self._maps("category_ref", "product"):
            known, wrong = products.with_product_groups(known, self._categories(), self.rules)
            found.append(wrong)
        if self._maps("variant_of", "product"):
            known, wrong = products.with_parents(known)
            found.append(wrong)
        if self._has_older_versions():
            found.append(products.of_reused_numbers(records, self.rules.reused_numbers))
        known = self.store.keep(known) if found else known
        return known, Judged(union(found) if found else None, products.is_of_master())

    def versions(self, statements: DataFrame, known: DataFrame) -> DataFrame:
        """The history of products; what a category stands for now it has always stood for. ``known``: products, completed."""
        if self._maps("category_ref", "product"):
            statements, _ = products.with_product_groups(statements, self._categories(), self.rules)
        return master.to_product_versions(statements, known)

    def judge(self, sold: Sequence[DataFrame], known: DataFrame, is_news_of_products: bool) -> list[Judged]:
        """What is wrong between lines and master data. ``sold``: lines that this run wrote; ``known``: silver.product."""
        judged = self._unknown(sold, known, is_news_of_products)
        if self.rules.looks_up or self.since is None:
            judged += self._looked_up(known, is_news_of_products)
        if self._maps("category_ref", "receipt") or self.since is None:
            judged += self._categories_of_lines()
        if self.since is None or is_news_of_products or self._has_news(BUNDLE_COMPONENT):
            judged.append(Judged(self._not_divided(known), F.col("rule") == products.NOT_DIVIDED))
        if self.since is None or self._has_news(PRICE_LIST):
            judged.append(self._prices())
        return judged

    def _unknown(self, sold: Sequence[DataFrame], known: DataFrame, is_news_of_products: bool) -> list[Judged]:
        """Sold products without master data: those of which a line has changed, and those listed before if master data is new."""
        store, is_unknown = self.store, (F.col("rule") == PRODUCT_UNKNOWN) & F.col("source").isNull()
        is_direct = ~lookup.is_looked_up(self.rules)
        if self.since is None:
            return [Judged(exceptions.of_products(settled.where(is_direct), known), is_unknown) for settled in sold]
        listed = store.read(silver.EXCEPTION).where(is_unknown & (F.col("status") == "open")).select("record_key")
        in_doubt = [listed] if is_news_of_products else []
        if store.has_news(silver.RECEIPT_LINE, self.since):
            changed = store.touched(silver.RECEIPT_LINE, self.since, ["product_ref", "source"]).where(is_direct)
            changed = changed.select(F.col("product_ref").alias("record_key")).where("record_key IS NOT NULL")
            in_doubt.append(changed.join(known, on=F.col("record_key") == F.col("product_id"), how="left_anti"))
        refs = self._distinct(in_doubt)
        if refs is None:
            return []
        of_refs = F.col("product_ref") == F.col("record_key")
        lines = store.read(silver.RECEIPT_LINE).where(is_direct).join(F.broadcast(refs), on=of_refs, how="left_semi")
        return [Judged(exceptions.of_products(lines, known), is_unknown, "record_key", refs)]

    def _looked_up(self, known: DataFrame, is_news_of_products: bool) -> list[Judged]:
        """Names that a lookup does not find, or finds twice: those of changed lines, and those of changed references."""
        store, rules, references = self.store, self.rules, self._delivered(PRODUCT_REFERENCE)
        lines = store.read(silver.RECEIPT_LINE)
        covers = (F.col("entity") == "product") & F.col("rule").isin(*products.OF_LINES) & F.col("source").isNotNull()
        if not rules.looks_up:
            return [Judged(None, covers)]
        if self.since is None:
            return [Judged(products.of_looked_up(lines, references, known, rules), covers)]
        name = lookup.name_of_line()
        in_doubt = []
        if store.has_news(silver.RECEIPT_LINE, self.since):
            changed = store.touched(silver.RECEIPT_LINE, self.since, [*lookup.NAMES, "business_date"])
            changed = changed.where(lookup.is_looked_up(rules))
            wrong = lookup.with_products(changed, references, known, rules).where(F.col("_lookup") != lookup.FOUND)
            in_doubt += [wrong.select(name), self._listed(changed.select(name), covers)]
        values = self._changed_values(known, is_news_of_products)
        if values:
            in_doubt.append(lookup.lines_of_values(lines, union(values), rules).select(name))
        names = self._distinct(in_doubt)
        if names is None:
            return []
        named = lines.where(lookup.is_looked_up(rules)).withColumn("_name", name)
        named = named.join(F.broadcast(names.toDF("_name")), on="_name", how="left_semi")
        return [Judged(products.of_looked_up(named, references, known, rules), covers, "record_key", names)]

    def _changed_values(self, known: DataFrame, is_news_of_products: bool) -> list[DataFrame]:
        """References (kind, value) that are new, gone, or of another product."""
        values = []
        if self.since is not None and self._has_news(PRODUCT_REFERENCE):
            before, after = (
                lookup.to_references(rows)
                for rows in (
                    self.store.read_before(PRODUCT_REFERENCE, self.since),
                    self.store.read(PRODUCT_REFERENCE),
                )
            )
            values.append(lookup.differing(before, after).select("kind", "value"))
        if is_news_of_products:
            before, after = (lookup.values_of_products(rows) for rows in (self.store.read(silver.PRODUCT), known))
            values.append(lookup.differing(before, after).where("value IS NOT NULL").select("kind", "value"))
        return values

    def _categories_of_lines(self) -> list[Judged]:
        """Categories without product group: those of changed lines, and those whose product group is new or gone."""
        store, rules = self.store, self.rules
        covers = F.col("entity") == products.PRODUCT_GROUP
        lines = store.read(silver.RECEIPT_LINE).where(products.has_only_category())
        if not self._maps("category_ref", "receipt"):
            return [Judged(None, covers)]
        if self.since is None:
            return [Judged(products.of_categories(lines, self._categories(), rules), covers)]
        name = F.concat_ws(":", "source", "category_ref")
        in_doubt = []
        if store.has_news(silver.RECEIPT_LINE, self.since):
            keys = ["source", "category_ref", "product_ref", "line_type"]
            in_doubt.append(store.touched(silver.RECEIPT_LINE, self.since, keys).where("category_ref IS NOT NULL").select(name))
        if self._has_news(CATEGORY):
            before, after = (
                lookup.newest(rows, lookup.CATEGORY_KEY).select(*lookup.CATEGORY_KEY)
                for rows in (store.read_before(CATEGORY, self.since), store.read(CATEGORY))
            )
            of_system = lines.withColumn("system", lookup.system_of(rules))
            changed = F.broadcast(lookup.differing(before, after))
            named = of_system.join(changed, on=list(lookup.CATEGORY_KEY), how="left_semi")
            in_doubt.append(named.select(name))
        names = self._distinct(in_doubt)
        if names is None:
            return []
        named = lines.withColumn("_name", name).join(F.broadcast(names.toDF("_name")), on="_name", how="left_semi")
        return [Judged(products.of_categories(named, self._categories(), rules), covers, "record_key", names)]

    def _not_divided(self, known: DataFrame) -> DataFrame | None:
        components = self._delivered(BUNDLE_COMPONENT)
        if self.rules.bundles.are_all_kept:
            return None
        if components is None:
            components = self.store.spark.createDataFrame([], BUNDLE_COMPONENT.struct)
        return products.of_bundles(known, components, self.rules.bundles)

    def _prices(self) -> Judged:
        covers, prices = F.col("rule") == products.PRICES_DIFFER, self._delivered(PRICE_LIST)
        if prices is None:
            return Judged(None, covers)
        if self.since is None:
            return Judged(products.of_prices(prices, self.rules.channel_prices), covers)
        before, after = (
            products.to_prices(rows).drop("source", "_file", "_row")
            for rows in (self.store.read_before(PRICE_LIST, self.since), prices)
        )
        touched = self.store.keep(lookup.differing(before, after).select("product_id").distinct())
        of_touched = prices.join(F.broadcast(touched), on="product_id", how="left_semi")
        return Judged(products.of_prices(of_touched, self.rules.channel_prices), covers, "_scope", touched)

    def _listed(self, names: DataFrame, covers: Column) -> DataFrame:
        """Those of the names that are listed as wrong."""
        listed = self.store.read(silver.EXCEPTION).where(covers & (F.col("status") == "open")).select("record_key")
        return names.toDF("record_key").join(F.broadcast(listed), on="record_key", how="left_semi")

    def _distinct(self, frames: Sequence[DataFrame]) -> DataFrame | None:
        """All names once, as ``record_key``; None if there are none."""
        if not frames:
            return None
        names = self.store.keep(union([names.toDF("record_key") for names in frames]).distinct())
        return None if names.isEmpty() else names

    def _delivered(self, table: Table) -> DataFrame | None:
        return self.store.read(table) if any(source.entity == table.name for source in self.sources) else None

    def _categories(self) -> DataFrame | None:
        delivered = self._delivered(CATEGORY)
        return None if delivered is None else lookup.newest(delivered, lookup.CATEGORY_KEY)

    def _has_news(self, table: Table) -> bool:
        is_delivered = any(source.entity == table.name for source in self.sources)
        return is_delivered and self.since is not None and self.store.has_news(table, self.since)

    def _maps(self, field: str, entity: str) -> bool:
        """Whether a source of such records fills the field."""
        return any(source.tells(field) for source in self.sources if source.entity == entity)

    def _has_older_versions(self) -> bool:
        """Whether products were delivered more than once, so that there is something to compare."""
        names = [source.name for source in self.sources if source.entity == "product"]
        ledger = self.store.read(ops.FILE_LEDGER).where(F.col("source").isin(*names) & (F.col("status") == "loaded"))
        return ledger.limit(2).count() > 1
