"""Benchmark: who is who: tillhouse, Splink and exact keys on Febrl and on made customers, judged by the truth."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from identity_duckdb import Laboratory
from identity_sets import RecordSet, customers, febrl, pairs_within
from identity_splink import predict
from numpy.typing import NDArray

from tillhouse.identity.cluster import Links, components
from tillhouse.identity.decide import AUTO, REVIEW

T = TypeVar("T")
METHODS = ("tillhouse", "splink", "keys")
PERSONS = 20_000
# Splink's threshold is that with the best F1 on these customers, and on Febrl 2; ours is that of conf/identity.yml
FIXED_ON = 101


@dataclass(frozen=True)
class Result:
    """What one method makes of one set."""

    of: str
    method: str
    figures: dict[str, float]
    errors: dict[str, tuple[int, int, int]]  # kind of case: true pairs, those missed, false pairs


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench identity", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[102, 103, 104], help="customers that are made")
    parser.add_argument("--persons", type=int, default=PERSONS)
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--no-febrl", action="store_true", help="made customers alone")
    given = parser.parse_args()
    sets: list[tuple[int, int]] = [] if given.no_febrl else [(1, 0), (2, 0), (3, 0), (4, 0), (3, 1), (4, 1)]
    has_splink = "splink" in given.methods
    threshold = _apart(_best_on_febrl) if has_splink and sets else 0.0
    for number, hard in sets:
        for method in given.methods:
            _print(_apart(_run_febrl, number, bool(hard), method, threshold))
    threshold = _apart(_best_on_customers, given.persons) if has_splink and given.seeds else 0.0
    for seed in given.seeds:
        for method in given.methods:
            _print(_apart(_run_customers, given.persons, seed, method, threshold))
    return 0


def _apart(function: Callable[..., T], *arguments: object) -> T:
    """Each measurement in a process of its own, so that its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _run_febrl(number: int, hard: bool, method: str, threshold: float) -> Result:
    return measure(febrl(number, hard), method, threshold)


def _run_customers(persons: int, seed: int, method: str, threshold: float) -> Result:
    return measure(customers(persons, seed), method, threshold)


def _best_on_customers(persons: int) -> float:
    of = customers(persons, FIXED_ON)
    return _best(of, _splink_pairs(_laboratory(of), of))


def _best_on_febrl() -> float:
    of = febrl(2, without_identifiers=False)
    return _best(of, _splink_pairs(_laboratory(of), of))


def _laboratory(of: RecordSet) -> Laboratory:
    laboratory = Laboratory(of.records, of.types)
    laboratory.drop_shared_values(of.rules.shared_values)
    return laboratory


def _splink_pairs(laboratory: Laboratory, of: RecordSet) -> pd.DataFrame:
    """Splink's pairs without those that contradict each other."""
    pairs = predict(laboratory, of)
    laboratory.connection.register("predicted", pairs)
    laboratory.compare(of.comparisons, of.similarities, "predicted")
    apart = laboratory.contradictions(of.rules)
    return (
        pairs.merge(apart, on=["left", "right"], how="left", indicator=True).query("_merge == 'left_only'").drop(columns="_merge")
    )


def _best(of: RecordSet, pairs: pd.DataFrame) -> float:
    """The threshold with the best pairwise F1, the middle one of several; the truth is looked at."""
    tried = [(quality(of, _closure(of, pairs[pairs.log_odds >= least]))["F1"], least) for least in np.arange(-6, 30, 1.0)]
    best = [least for f1, least in tried if f1 == max(tried)[0]]
    return float(best[len(best) // 2])


def _closure(of: RecordSet, pairs: pd.DataFrame) -> NDArray[np.int64]:
    return components(Links(len(of.records), *(pairs[name].to_numpy() for name in ("left", "right", "log_odds"))))


def measure(of: RecordSet, method: str, threshold: float) -> Result:
    """Run a method and judge its clusters; ``threshold`` is Splink's."""
    started = time.monotonic()
    laboratory = _laboratory(of)
    extra: dict[str, float] = {}
    if method == "tillhouse":
        laboratory.block(of.rules.blocking, of.rules.block_limit)
        laboratory.compare(of.comparisons, of.similarities)
        model = of.model or laboratory.train_on_strangers(of.comparisons, of.similarities)
        pairs = laboratory.decide(of.rules, model, of.comparisons)
        label = laboratory.cluster(pairs, of.rules, model, of.comparisons, of.similarities).label
        links, seconds = pairs[pairs.decision == AUTO], time.monotonic() - started
        extra = {"candidate pairs": len(pairs), "review share": float((pairs.decision == REVIEW).mean())}
    elif method == "splink":
        pairs = _splink_pairs(laboratory, of)
        links = pairs[pairs.log_odds >= threshold]
        label = _closure(of, links)
        seconds = time.monotonic() - started
        extra = {
            "threshold": threshold,
            "best F1 of any threshold": quality(of, _closure(of, pairs[pairs.log_odds >= _best(of, pairs)]))["F1"],
        }
    else:
        links = laboratory.equal_pairs(of.keys)
        label, seconds = _closure(of, links), time.monotonic() - started
    person = of.truth["person"].to_numpy()
    precision = float((person[links["left"]] == person[links["right"]]).mean())
    figures = quality(of, label) | {"precision of links": precision} | extra
    figures |= {"seconds": seconds, "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    return Result(of.name, method, figures, dict(errors_by_kind(of, label)))


def quality(of: RecordSet, label: NDArray[np.int64]) -> dict[str, float]:
    """Pairs and whole clusters against the truth."""
    person, household = of.truth["person"].to_numpy(), of.truth["household"].to_numpy()
    of_both = pd.factorize(pd.Series(list(zip(label, person, strict=True))))[0]
    right, made, true = pairs_within(of_both), pairs_within(label), pairs_within(person)
    at_home = pairs_within(pd.factorize(pd.Series(list(zip(label, household, strict=True))))[0])
    doubtful = of.truth["is_undecidable"].to_numpy(bool)
    hidden = pd.factorize(pd.Series(list(zip(label[doubtful], household[doubtful], strict=True))))[0]
    hidden_right = pairs_within(of_both[doubtful])
    sizes = [pd.Series(values).groupby(values).transform("size").to_numpy() for values in (label, person, of_both)]
    whole = (sizes[0] == sizes[2]) & (sizes[1] == sizes[2])
    exact = float((1 / sizes[2][whole]).sum())
    precision, recall = right / max(made, 1), right / max(true, 1)
    cluster_precision, cluster_recall = exact / len(np.unique(label)), exact / len(np.unique(person))
    return {
        "precision": precision, "recall": recall, "F1": _f1(precision, recall),
        "cluster precision": cluster_precision, "cluster recall": cluster_recall,
        "cluster F1": _f1(cluster_precision, cluster_recall),
        "largest": float(sizes[0].max()), "largest true": float(sizes[1].max()),
        "undecidable merged": float(pairs_within(hidden) - hidden_right), "household merged": float(at_home - right),
    }  # fmt: skip


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def errors_by_kind(of: RecordSet, label: NDArray[np.int64]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """For each kind of damage: true pairs with such a record, how many of them were missed, and false pairs with one."""
    person = of.truth["person"].to_numpy()
    true, false = _pairs_of(person), _pairs_of(label)
    is_missed, is_false = label[true[:, 0]] != label[true[:, 1]], person[false[:, 0]] != person[false[:, 1]]
    kinds = of.truth["kinds"].str.split(",")
    for kind in sorted({name for names in kinds for name in names if name}):
        has = kinds.map(lambda names, kind=kind: kind in names).to_numpy()
        of_true, of_false = has[true].any(axis=1), has[false].any(axis=1)
        yield kind, (int(of_true.sum()), int((of_true & is_missed).sum()), int((of_false & is_false).sum()))


def _pairs_of(label: NDArray[np.int64]) -> NDArray[np.int64]:
    frame = pd.DataFrame({"label": label, "number": range(len(label))})
    both = frame.merge(frame, on="label")
    pairs: NDArray[np.int64] = both.loc[both.number_x < both.number_y, ["number_x", "number_y"]].to_numpy()
    return pairs


def _print(result: Result) -> None:
    _say(f"{result.of}: {result.method}")
    for name, value in result.figures.items():
        _say(f"  {name:<26}{value:.4f}" if name in SHARES else f"  {name:<26}{value:,.0f}")
    for kind, (true, missed, false) in result.errors.items():
        _say(f"    {kind:<22}{missed:>6} of {true:>6} pairs missed ({missed / max(true, 1):.1%}), {false:>4} wrong")
    _say("")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


SHARES = ("precision", "recall", "F1", "cluster precision", "cluster recall", "cluster F1", "precision of links", "review share",
          "best F1 of any threshold")  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
