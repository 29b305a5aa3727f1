"""The benchmark of readers compares like with like: the same rows and cents in every format, whoever reads them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import bench_ingest
import ingest_files
import pytest


def test_every_format_holds_the_same_rows_and_cents_for_tillhouse_and_for_the_plain_parser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = bench_ingest.measure_readers(tmp_path, ingest_files.make_lines(30), runs=1)
    assert list(found) == [kind.name for kind in ingest_files.KINDS]
    bench_ingest.report(found, 30)
    assert "below a third of csv per row: " in capsys.readouterr().out


def test_a_reader_that_loses_a_row_or_a_cent_ends_the_benchmark() -> None:
    wanted = ingest_files.total_of(ingest_files.make_lines(30))
    for found in ((29, wanted[1]), (30, wanted[1] - Decimal("0.01"))):
        with pytest.raises(SystemExit, match="instead of 30 with"):
            bench_ingest.expect("csv, tillhouse", found, wanted)
