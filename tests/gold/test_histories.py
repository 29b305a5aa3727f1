"""Whatever a chain lives through: gold made night by night is gold made at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from try_histories import History, differing  # a script, not a package

NIGHTS, RECEIPTS = 3, 16


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gold_made_night_by_night_is_gold_made_at_once(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    assert differing(spark, tmp_path, seed, NIGHTS, RECEIPTS) == []


def test_the_histories_hold_what_is_hard() -> None:
    histories = []
    for seed in (1, 2, 3):
        history = History(seed)
        for _ in range(NIGHTS):
            history.night(RECEIPTS)
        histories.append(history)
    returns = [receipt for history in histories for receipt in history.receipts.values() if receipt.of is not None]
    assert {receipt.has_reference for receipt in returns} == {True, False}
    assert any(receipt.party is None and receipt.card is not None and not receipt.has_reference for receipt in returns)
    assert any(receipt.status == "VOIDED" for history in histories for receipt in history.receipts.values())
    assert any(len(history.branch_versions) > 3 for history in histories)
    assert any(row["valid_to_run"] for history in histories for row in history.customers)
    assert any(history.early_returns for history in histories)
