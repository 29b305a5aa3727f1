"""From levels of agreement to the odds that two records are one customer, as SQL that Spark and DuckDB share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tillhouse.identity.compare import Comparison
from tillhouse.identity.model import IdentityModel


def log_odds_sql(model: IdentityModel, comparisons: Sequence[Comparison]) -> str:
    """log2 of the odds of the class of one person against the others; a missing attribute says nothing."""
    person, *others = (_likelihood_sql(model, comparisons, place) for place in range(len(model.shares)))
    total = " + ".join(f"power(2, {other})" for other in others)
    return f"({person}) - log2({total})"


def _likelihood_sql(model: IdentityModel, comparisons: Sequence[Comparison], place: int) -> str:
    parts = [f"{math.log2(model.shares[place]):.9f}"]
    for comparison in comparisons:
        cases = " ".join(
            f"WHEN '{level}' THEN {math.log2(model.levels[comparison.name, level][place]):.9f}"
            for level in comparison.level_names
        )
        parts.append(f"CASE {comparison.name} {cases} ELSE 0.0 END")
    return "(" + " + ".join(f"({part})" for part in parts) + ")"
