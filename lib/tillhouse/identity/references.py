"""Whose receipts and records are that name somebody by card, customer number, e-mail or phone alone."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# Identifiers in the order in which they name somebody of whom no contact tells; column of silver.party, and of records.
IDENTIFIERS = {
    "card_number": ("card_token", "cards"),
    "customer_number": ("customer_number_token", "customer_numbers"),
    "email": ("email_tokens", "emails"),
    "phone": ("phone_tokens", "phones"),
}
UNCLEAR, STAFF_CARD = "unclear", "staff_card"


def is_reference() -> Column:
    """Whether a party of silver is only named by other records."""
    return F.col("_file").isNull()


def tokens(parties: DataFrame) -> DataFrame:
    """The identifiers (party_key, kind, token) of parties."""
    parts = [_of_kind(kind, column) for kind, (column, _) in IDENTIFIERS.items()]
    return parties.select("party_key", F.explode(F.concat(*parts)).alias("_of")).select("party_key", "_of.kind", "_of.token")


def _of_kind(kind: str, column: str) -> Column:
    return F.transform(_as_list(column), lambda token: F.struct(F.lit(kind).alias("kind"), token.alias("token")))


def _as_list(column: str) -> Column:
    nothing = F.array().cast("array<string>")
    if column.endswith("s"):
        return F.coalesce(F.array_compact(F.col(column)), nothing)
    return F.when(F.col(column).isNotNull(), F.array(column)).otherwise(nothing)


def name(kind: bool = False) -> Column:
    """The identifier that names a party of whom no contact tells, or its ``kind``: the first that it has."""
    parts = [
        (F.lit(kind_name), F.col(column)[0] if column.endswith("s") else F.col(column))
        for kind_name, (column, _) in IDENTIFIERS.items()
    ]
    return F.coalesce(
        *(F.when(token.isNotNull(), label if kind else F.concat(label, F.lit(":"), token)) for label, token in parts)
    )


def resolve(references: DataFrame, of_contacts: DataFrame, limits: Mapping[str, int]) -> DataFrame:
    """The group of each reference (party_key, group, rule, candidates).

    ``of_contacts`` (kind, token, group, party_key) are the identifiers of contacts. Identifiers of one customer find it; of none,
    they make one of their own, the same for all references with the same first identifier; of several, the reference is unclear:
    its group is NULL, and ``candidates`` names each by its smallest record. An identifier that more customers have than its limit
    says nothing.
    """
    limit = F.coalesce(*(F.when(F.col("kind") == kind, limits.get(of)) for kind, (_, of) in IDENTIFIERS.items()), F.lit(None))
    groups = of_contacts.groupBy("kind", "token", "group").agg(F.min("party_key").alias("_first"))
    shared = groups.groupBy("kind", "token").agg(F.count(F.lit(1)).alias("_groups")).where(F.col("_groups") > limit)
    telling = groups.join(shared, on=["kind", "token"], how="left_anti")
    found = (
        tokens(references)
        .join(telling, on=["kind", "token"], how="inner")
        .groupBy("party_key", "group").agg(F.min("_first").alias("_first"), F.min(_rank()).alias("_rank"))
        .groupBy("party_key")
        .agg(F.sort_array(F.collect_set("_first")).alias("_firsts"), F.min(F.struct("_rank", "group")).alias("_best"))
    )  # fmt: skip
    is_unclear = F.coalesce(F.size("_firsts") > 1, F.lit(False))
    kinds = F.array(*(F.lit(kind) for kind in IDENTIFIERS))
    rule = F.coalesce(F.get(kinds, F.col("_best._rank")), name(kind=True))
    return references.join(found, on="party_key", how="left").select(
        "party_key",
        F.when(~is_unclear, F.coalesce("_best.group", name())).alias("group"),
        rule.alias("rule"),
        F.when(is_unclear, F.col("_firsts")).alias("candidates"),
    )


def _rank() -> Column:
    return F.coalesce(*(F.when(F.col("kind") == kind, F.lit(number)) for number, kind in enumerate(IDENTIFIERS)))
