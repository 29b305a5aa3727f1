"""Amounts in columns of their own that are lines or payments by themselves: shipping, a tip, what was paid by card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.sources import model

# What a row stands for: position (0 for the record itself, else the number of the amount), is_beside, amount, is_negative
PART = "_part"
IS_FIRST = "_is_first_part"


@dataclass(frozen=True)
class Amount:
    """One of the amounts: its text in the record, and whether the record tells it."""

    item: model.Unpivoted
    text: Column
    is_told: Column


def with_parts(records: DataFrame, amounts: Sequence[Amount], is_own: Column) -> DataFrame:
    """One row for each record that counts itself (``is_own``), and one for each amount that it tells beside."""
    nothing = F.lit(None).cast("string")
    own = F.when(is_own, _part(0, nothing, is_negative=False))
    parts = [
        F.when(amount.is_told, _part(number, amount.text, is_negative=amount.item.negative))
        for number, amount in enumerate(amounts, start=1)
    ]
    told = F.array_compact(F.array(own, *parts))
    return records.select("*", F.posexplode(told).alias(IS_FIRST, PART)).withColumn(IS_FIRST, F.col(IS_FIRST) == 0)


def _part(position: int, amount: Column, *, is_negative: bool) -> Column:
    told = {"position": F.lit(position), "is_beside": F.lit(position > 0), "amount": amount, "is_negative": F.lit(is_negative)}
    return F.struct(*(value.alias(name) for name, value in told.items()))


def text_of_part(
    name: str, own: Column, is_list: bool, items: Sequence[model.Unpivoted], amount_field: str, *, keeps_others: bool
) -> Column:
    """The text of a field: what its amount says, else the record's own.

    Without ``keeps_others`` an amount has nothing of the record: shipping is no article.
    """
    position = F.col(f"{PART}.position")
    if name == amount_field:
        amount = F.col(f"{PART}.amount")
        return F.when(position > 0, F.array(amount) if is_list else amount).otherwise(own)
    text = own if keeps_others else F.when(position == 0, own)
    for number, item in enumerate(items, start=1):
        if name in item.values:
            text = F.when(position == number, F.lit(item.values[name])).otherwise(text)
    return text


def signed(amount: str) -> Column:
    """An amount that its mapping calls negative, as that."""
    return F.when(F.col(f"{PART}.is_negative"), -F.col(amount)).otherwise(F.col(amount))
