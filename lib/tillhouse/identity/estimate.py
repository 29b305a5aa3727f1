"""Estimation of the model by expectation maximisation over patterns of agreement, without labels or with some."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tillhouse.identity.compare import Comparison
from tillhouse.identity.model import OTHERS, PERSON, IdentityModel, Level

Floats = NDArray[np.float64]

PRIOR = 5.0  # pairs of each class that the first guess counts for: an attribute that a sample does not know keeps its guess
ROUNDS = 300
STILL = 1e-6


def estimate(
    comparisons: Sequence[Comparison],
    patterns: Sequence[Sequence[str]],
    counts: Sequence[float],
    labels: Sequence[bool | None] | None = None,
    others: Sequence[str] = OTHERS,
) -> IdentityModel:
    """A model of the patterns (one level per comparison) and how many pairs have each.

    A label says that the pairs of a pattern were decided to be one person's (True) or not (False). ``others`` are the classes of
    pairs that are not; of records without households and namesakes it is ``stranger`` alone.
    """
    places = [{level: place for place, level in enumerate(comparison.level_names)} for comparison in comparisons]
    found = np.array([[at.get(level, -1) for at, level in zip(places, row, strict=True)] for row in patterns]).reshape(
        -1, len(places)
    )
    weight = np.asarray(counts, np.float64)
    classes = (PERSON, *others)
    allowed = _allowed(labels, len(found), classes)
    shares = np.full(len(classes), 1 / len(classes))
    guesses = [_first_guess(comparison, classes) for comparison in comparisons]
    likelihoods = guesses
    for _ in range(ROUNDS):
        share_of = _posterior(found, shares, likelihoods) * allowed
        share_of /= share_of.sum(axis=1, keepdims=True)
        mass = share_of * weight[:, None]
        before, shares = shares, mass.sum(axis=0) / mass.sum()
        likelihoods = [_likelihood(found[:, column], mass, guess) for column, guess in enumerate(guesses)]
        if np.abs(shares - before).max() < STILL:
            break
    levels: dict[Level, tuple[float, ...]] = {
        (comparison.name, level): tuple(likelihood[:, place].tolist())
        for comparison, likelihood in zip(comparisons, likelihoods, strict=True)
        for place, level in enumerate(comparison.level_names)
    }
    return IdentityModel(classes, tuple(shares.tolist()), levels)


def _likelihood(found: NDArray[np.int64], mass: Floats, guess: Floats) -> Floats:
    """How often each level of an attribute occurs in each class, the first guess counting as a few pairs."""
    counts = np.stack([mass[found == level].sum(axis=0) for level in range(guess.shape[1])], axis=1) + PRIOR * guess
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _allowed(labels: Sequence[bool | None] | None, count: int, classes: Sequence[str]) -> Floats:
    """Which classes a pattern can be of."""
    allowed = np.ones((count, len(classes)))
    for row, label in enumerate(labels or ()):
        if label is not None:
            allowed[row] = [float((name == PERSON) == label) for name in classes]
    return allowed


def _posterior(found: NDArray[np.int64], shares: Floats, likelihoods: Sequence[Floats]) -> Floats:
    logs = np.tile(np.log(shares), (len(found), 1))
    for column, likelihood in enumerate(likelihoods):
        known = found[:, column] >= 0
        logs[known] += np.log(likelihood)[:, found[known, column]].T
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares_of: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares_of


def _first_guess(comparison: Comparison, classes: Sequence[str]) -> Floats:
    """One person's records mostly agree; those of others where a household or namesakes do, and else not."""
    width = len(comparison.level_names)
    guess = np.empty((len(classes), width))
    for row, name in enumerate(classes):
        agrees = name == PERSON or name in comparison.shared_by
        guess[row] = 0.2 / width
        guess[row, : comparison.same_levels if agrees else width] += 0.8 / comparison.same_levels if agrees else 0.0
        if not agrees:
            guess[row, -1] += 0.8
    guess /= guess.sum(axis=1, keepdims=True)
    return guess
