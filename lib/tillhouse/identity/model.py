"""The frozen model: how often each level of agreement occurs for one person's records, and for those of others.

Two records of different persons were not compared by chance: a blocking rule has brought them together. They are of one household
(same name, address, telephone; other first name) or namesakes (same names; all else differs), and so there are three classes in
place of the two of Fellegi and Sunter (1969), whose assumption of independent attributes does not hold for their mixture.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tillhouse.errors import ConfigError
from tillhouse.identity.compare import MISSING, Comparison

PERSON = "person"
OTHERS = ("household", "namesake")

Level = tuple[str, str]  # comparison, level


def frequency_token(name: str) -> str:
    """What stands for a name in the model file."""
    return hashlib.sha256(f"tillhouse name {name}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Evidence:
    """One step of an explanation: what was found, its weight (log2) given the steps before, and the odds after it."""

    comparison: str
    level: str
    weight: float
    log_odds: float


@dataclass(frozen=True)
class IdentityModel:
    """``classes`` of pairs, that of one person first; ``shares``: how many of the compared pairs are of each class.

    ``levels``: how often a level occurs in each class; ``frequencies``: of first and last names, by token.
    """

    classes: tuple[str, ...]
    shares: tuple[float, ...]
    levels: Mapping[Level, tuple[float, ...]]
    frequencies: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: {"given": {}, "family": {}})
    about: Mapping[str, Any] = field(default_factory=dict)

    def log_likelihoods(self, found: Mapping[str, str]) -> list[float]:
        """log2 of share and likelihood of each class, for the levels found."""
        return [
            math.log2(share)
            + sum(math.log2(self.levels[name, level][place]) for name, level in found.items() if level != MISSING)
            for place, share in enumerate(self.shares)
        ]

    def log_odds(self, found: Mapping[str, str]) -> float:
        """log2 of the odds that two records are one person's."""
        person, *others = self.log_likelihoods(found)
        most = max(others)
        return person - most - math.log2(sum(2 ** (other - most) for other in others))

    def explain(self, found: Mapping[str, str]) -> list[Evidence]:
        """The odds from the shares alone to those after all levels; each step is weighed given the steps before it."""
        steps = [Evidence("before", "", 0.0, self.log_odds({}))]
        for count, (name, level) in enumerate(found.items(), 1):
            if level != MISSING:
                odds = self.log_odds(dict(list(found.items())[:count]))
                steps.append(Evidence(name, level, odds - steps[-1].log_odds, odds))
        return steps

    def save(self, path: Path) -> None:
        """One line a level, so that a change can be read."""
        levels: dict[str, dict[str, list[float]]] = {}
        for (name, level), values in self.levels.items():
            levels.setdefault(name, {})[level] = [float(f"{value:.5g}") for value in values]
        shares = [round(share, 5) for share in self.shares]
        data = {"about": self.about, "classes": self.classes, "shares": shares, "levels": levels, "frequencies": self.frequencies}
        text = json.dumps(data, indent=1, ensure_ascii=False)
        path.write_text(_one_line_lists(text) + "\n", "utf-8")


def _one_line_lists(text: str) -> str:
    """Numbers of a list side by side."""
    lines: list[str] = []
    parts: list[str] = []
    for line in text.splitlines():
        if parts or line.endswith("["):
            parts.append(line if not parts else line.strip())
            if line.strip().startswith("]"):
                lines.append("".join(parts[:1]) + " ".join(parts[1:-1]) + parts[-1])
                parts = []
        else:
            lines.append(line)
    return "\n".join(lines)


def load_model(path: Path, comparisons: Sequence[Comparison]) -> IdentityModel:
    """The model that a chain has chosen.

    Raises:
        ConfigError: the file is missing or damaged, or knows other comparisons than the code.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        levels = {(name, level): tuple(map(float, values)) for name, of in data["levels"].items() for level, values in of.items()}
        shares = tuple(map(float, data["shares"]))
        model = IdentityModel(tuple(data["classes"]), shares, levels, data["frequencies"], data["about"])
    except FileNotFoundError:
        raise ConfigError(f"{path}: file not found; make it with scripts/train_identity.py") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: is no identity model ({error}); make it with scripts/train_identity.py") from None
    expected = {(comparison.name, level) for comparison in comparisons for level in comparison.level_names}
    missing = sorted(" ".join(level) for level in expected - set(levels))
    bad = [
        " ".join(level) for level, values in levels.items() if len(values) != len(shares) or not all(0 < v <= 1 for v in values)
    ]
    if missing or bad or len(shares) != len(model.classes) or len(shares) < 2 or model.classes[0] != PERSON:
        raise ConfigError(
            f"{path}: does not fit the comparisons of this version (missing: {', '.join(missing) or 'none'}; "
            f"not between 0 and 1: {', '.join(bad) or 'none'}); train it anew with scripts/train_identity.py"
        )
    return model
