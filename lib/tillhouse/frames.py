"""What is done with data frames of any layer."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows. Halves of halves: each step is planned anew, with all that it holds."""
    if len(frames) == 1:
        return frames[0]
    middle = len(frames) // 2
    return union(frames[:middle]).unionByName(union(frames[middle:]))
