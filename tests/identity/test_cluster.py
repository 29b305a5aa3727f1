"""Records that are linked are one customer, unless something speaks against it."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from tillhouse.errors import TillhouseError
from tillhouse.identity import cluster as module
from tillhouse.identity.cluster import Links, cluster, components

NOBODY: list[tuple[int, int]] = []


def groups(label: list[int]) -> set[frozenset[int]]:
    found: dict[int, set[int]] = {}
    for record, name in enumerate(label):
        found.setdefault(name, set()).add(record)
    return {frozenset(members) for members in found.values()}


@pytest.mark.parametrize("seed", range(20))
def test_components_are_those_of_networkx(seed: int) -> None:
    draw = random.Random(seed)
    records = draw.randrange(1, 200)
    links = [(draw.randrange(records), draw.randrange(records), draw.random()) for _ in range(draw.randrange(150))]
    graph = nx.Graph()
    graph.add_nodes_from(range(records))
    graph.add_edges_from((left, right) for left, right, _ in links)
    expected = {frozenset(members) for members in nx.connected_components(graph)}
    assert groups(components(Links.of(records, links)).tolist()) == expected
    assert groups(cluster(Links.of(records, links), NOBODY, max_size=1000, margin=1).label.tolist()) == expected


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_links_no_cluster_holds_a_contradiction_or_is_too_large_and_order_means_nothing(seed: int) -> None:
    draw = random.Random(seed)
    records = 60
    links = [(draw.randrange(records), draw.randrange(records), draw.choice([3.0, 4.0, 5.5, 8.0])) for _ in range(90)]
    cannot = [pair for pair in ((draw.randrange(records), draw.randrange(records)) for _ in range(25)) if pair[0] != pair[1]]
    found = cluster(Links.of(records, links), cannot, max_size=9, margin=0.5)
    assert all(found.label[left] != found.label[right] for left, right in cannot)
    assert max(len(members) for members in groups(found.label.tolist())) <= 9
    for left, right, _ in links:
        assert found.label[left] == found.label[right] or (min(left, right), max(left, right)) in found.refused
    shuffled = [(right, left, weight) for left, right, weight in draw.sample(links, len(links))]
    again = cluster(Links.of(records, shuffled), [(right, left) for left, right in reversed(cannot)], max_size=9, margin=0.5)
    assert again.label.tolist() == found.label.tolist()
    assert again.refused == found.refused


def test_a_contradiction_cuts_the_weakest_link() -> None:
    found = cluster(Links.of(4, [(0, 1, 9.0), (1, 2, 5.0), (2, 3, 9.0)]), [(0, 3)], max_size=10, margin=1)
    assert groups(found.label.tolist()) == {frozenset({0, 1}), frozenset({2, 3})}
    assert found.refused == [(1, 2)]


def test_a_record_that_fits_two_who_contradict_each_other_joins_neither() -> None:
    found = cluster(Links.of(3, [(0, 1, 6.0), (1, 2, 5.5)]), [(0, 2)], max_size=10, margin=1)
    assert groups(found.label.tolist()) == {frozenset({0}), frozenset({1}), frozenset({2})}
    assert found.refused == [(0, 1), (1, 2)]


def test_a_record_that_fits_one_of_two_clearly_better_joins_that_one() -> None:
    found = cluster(Links.of(3, [(0, 1, 9.0), (1, 2, 5.5)]), [(0, 2)], max_size=10, margin=1)
    assert groups(found.label.tolist()) == {frozenset({0, 1}), frozenset({2})}


def test_a_cluster_that_grows_too_large_is_cut_at_its_weakest_links() -> None:
    chain = [(record, record + 1, 9.0 if record % 3 else 4.0) for record in range(8)]
    found = cluster(Links.of(9, chain), NOBODY, max_size=3, margin=0.1)
    assert max(len(members) for members in groups(found.label.tolist())) == 3
    assert frozenset({1, 2, 3}) in groups(found.label.tolist())


def test_more_links_than_a_driver_holds_are_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINKS", 1)
    with pytest.raises(TillhouseError, match="Remedy"):
        components(Links.of(3, [(0, 1, 5.0), (1, 2, 5.0)]))


def test_no_records_are_no_clusters() -> None:
    assert cluster(Links.of(0, []), NOBODY, max_size=3, margin=1).label.tolist() == []
