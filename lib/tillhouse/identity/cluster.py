"""From accepted links to customers: connected records, but never two that contradict each other.

Pure functions of numbered records; the result depends on the links alone, not on their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tillhouse.errors import TillhouseError

MAX_LINKS = 50_000_000  # what one driver holds in memory

Pair = tuple[int, int]


@dataclass(frozen=True)
class Links:
    """Accepted links between records 0 to ``records`` - 1, each with its weight (log2 of the odds that it is one customer)."""

    records: int
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    weight: NDArray[np.float64]

    @classmethod
    def of(cls, records: int, links: Iterable[tuple[int, int, float]]) -> Links:
        rows = list(links)
        columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
        return cls(records, np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2], np.float64))

    def with_pairs(self, pairs: Iterable[Pair]) -> Links:
        """These links and further ones, which are certain."""
        added = Links.of(self.records, ((left, right, np.inf) for left, right in sorted(pairs)))
        return Links(
            self.records,
            np.concatenate([self.left, added.left]),
            np.concatenate([self.right, added.right]),
            np.concatenate([self.weight, added.weight]),
        )


@dataclass(frozen=True)
class Clusters:
    """``label`` names each record's cluster by its smallest record; ``refused`` are links that were not followed, for review."""

    label: NDArray[np.int64]
    refused: Sequence[Pair]


def too_many(links: int) -> str:
    """What is said where there are more links than one driver holds."""
    return (
        f"{links:,} links between customer records are more than one driver holds ({MAX_LINKS:,}). "
        "Remedy: raise the threshold in conf/identity.yml, or take away a blocking rule that joins strangers."
    )


def components(links: Links) -> NDArray[np.int64]:
    """The connected component of each record, named by its smallest record.

    Raises:
        TillhouseError: there are more links than one driver can hold.
    """
    if len(links.left) > MAX_LINKS:
        raise TillhouseError(too_many(len(links.left)))
    graph = coo_matrix((np.ones(len(links.left), np.int8), (links.left, links.right)), shape=(links.records, links.records))
    _, found = connected_components(graph, directed=False)
    first = np.full(found.max() + 1 if len(found) else 0, links.records, np.int64)
    np.minimum.at(first, found, np.arange(links.records))
    named: NDArray[np.int64] = first[found]
    return named


def cluster(
    links: Links,
    cannot: Iterable[Pair],
    max_size: int,
    margin: float,
    *,
    together: Iterable[Pair] = (),
    apart: Iterable[Pair] = (),
) -> Clusters:
    """Clusters of records in which no two of ``cannot`` are together and none has more than ``max_size`` records.

    A record that fits two which contradict each other about as well (weights within ``margin``) joins neither: the evidence does
    not say whose it is. Elsewhere the strongest links are followed first, and the one that would bring a contradiction is
    refused. What a person has decided comes before all of that: ``together`` are links too, whatever contradicts them or how many
    they make, and ``apart`` are kept apart even from these.
    """
    decided, forbidden = {_ordered(pair) for pair in together}, {_ordered(pair) for pair in apart}
    decided -= forbidden
    if decided:
        links = links.with_pairs(decided)
    label = components(links)
    met = {pair for pair in map(_ordered, cannot) if label[pair[0]] == label[pair[1]]}
    enemies = _by_record(met - decided | forbidden)
    sizes = np.bincount(label, minlength=links.records)
    touched = {int(label[record]) for record in (*enemies, *(one for one, _ in decided))}
    touched |= {int(name) for name in np.flatnonzero(sizes > max_size)}
    if not touched:
        return Clusters(label, ())
    in_touched = np.isin(label[links.left], np.fromiter(touched, np.int64, len(touched)))
    left, right, weight = links.left[in_touched], links.right[in_touched], links.weight[in_touched]
    strongest = np.lexsort((np.maximum(left, right), np.minimum(left, right), -weight))
    rows = list(zip(left[strongest].tolist(), right[strongest].tolist(), weight[strongest].tolist(), strict=True))
    certain = {record for pair in decided for record in pair}
    doubtful = _doubtful(rows, enemies, margin) - certain
    forest = _Forest(enemies, max_size)
    by_decision = _Forest(_by_record(forbidden), links.records)
    for one, other in sorted(decided):
        if by_decision.join(one, other):
            forest.put_together(one, other)
    refused = [
        _ordered((one, other)) for one, other, _ in rows if one in doubtful or other in doubtful or not forest.join(one, other)
    ]
    label = label.copy()
    for record in np.flatnonzero(np.isin(label, np.fromiter(touched, np.int64, len(touched)))).tolist():
        label[record] = min(forest.members(record))
    return Clusters(label, sorted(set(refused)))


def _ordered(pair: Pair) -> Pair:
    return min(pair), max(pair)


def _by_record(pairs: Iterable[Pair]) -> dict[int, set[int]]:
    """The others that each record is paired with."""
    found: dict[int, set[int]] = {}
    for left, right in pairs:
        found.setdefault(left, set()).add(right)
        found.setdefault(right, set()).add(left)
    return found


def _doubtful(rows: Sequence[tuple[int, int, float]], enemies: dict[int, set[int]], margin: float) -> set[int]:
    """Records that two others, which contradict each other, claim with about the same weight."""
    hostile = Counter(record for left, right, _ in rows for record, other in ((left, right), (right, left)) if other in enemies)
    best: dict[int, list[tuple[float, int]]] = {record: [] for record, count in hostile.items() if count > 1}
    for left, right, weight in rows:
        if left in best:
            best[left].append((weight, right))
        if right in best:
            best[right].append((weight, left))
    found = set()
    for record, claims in best.items():
        strongest = max(weight for weight, _ in claims)
        close = {other for weight, other in claims if strongest - weight <= margin}
        if any(enemies.get(other, set()) & close for other in close):
            found.add(record)
    return found


class _Forest:
    """Growing clusters that refuse to hold two enemies or to become too large."""

    def __init__(self, enemies: dict[int, set[int]], max_size: int) -> None:
        self._enemies, self._max_size = enemies, max_size
        self._of: dict[int, set[int]] = {}

    def members(self, record: int) -> set[int]:
        return self._of.get(record, {record})

    def join(self, left: int, right: int) -> bool:
        """Put two clusters together; False if that is refused."""
        one, other = self.members(left), self.members(right)
        if right in one:
            return True
        if len(one) + len(other) > self._max_size:
            return False
        small, large = (one, other) if len(one) <= len(other) else (other, one)
        if any(record in self._enemies and not self._enemies[record].isdisjoint(large) for record in small):
            return False
        self._put_together(small, large)
        return True

    def put_together(self, left: int, right: int) -> None:
        """Put two clusters together, whatever contradicts it."""
        self._put_together(self.members(left), self.members(right))

    def _put_together(self, small: set[int], large: set[int]) -> None:
        if small is large:
            return
        large |= small
        for record in large if len(large) == len(small) + 1 else small:  # a single record has no set of its own yet
            self._of[record] = large
