"""Checks every file of a landing area, in a process of its own: one has either a session with Java or one without."""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillhouse.config import load_config
from tillhouse.ops import check
from tillhouse.session import open_light_session


@dataclass(frozen=True)
class Trial:
    """What ``tillhouse source check`` finds out about one file; ``tables`` by name."""

    path: str
    source: str
    reason: str | None
    file_id: str | None
    rows: tuple[int, int, int]
    columns: list[tuple[str, str, str | None]]
    tables: dict[str, list[dict[str, Any]]]
    exceptions: list[dict[str, Any]]


def try_all(conf_dir: Path, landing: Path, *, is_long: bool) -> list[Trial]:
    """Each content once; without ``is_long`` one in four, and one of each kind of record and format.

    Tokens are made with the chain's key, so that they can be compared.
    """
    config = load_config(conf_dir, landing=str(landing))
    key = config.token_key()
    check.secrets.token_bytes = lambda _: key  # type: ignore[attr-defined]
    paths = sorted(path for path in landing.rglob("*") if path.is_file())
    pairs = [(path, source) for path in paths for source in config.sources]
    inspected = [
        (source, *check.inspect(source, path, name))
        for path, source in pairs
        if source.match_path(name := path.relative_to(landing).as_posix()) is not None
    ]
    found = list({item.file_id: (source, item, content) for source, item, content in reversed(inspected)}.values())
    if not is_long:
        kinds = {(source.entity, source.format): item for source, item, _ in found}.values()
        found = [one for number, one in enumerate(found) if number % 4 == 0 or any(one[1] is item for item in kinds)]
    with open_light_session() as spark:
        return [
            _trial(check.Checked(source, item) if item.reason else check.check(spark, config, item, content))
            for source, item, content in found
        ]


def _trial(checked: check.Checked) -> Trial:
    item = checked.inspection
    return Trial(
        path=item.delivery.path,
        source=checked.source.name,
        reason=item.reason,
        file_id=item.file_id,
        rows=(item.rows_read, item.rows_broken, item.rows_ignored),
        columns=[(decision.column, decision.decision, decision.field) for decision in item.columns],
        tables={table.full_name: rows.to_pylist() for table, rows in checked.tables.items()},
        exceptions=list(checked.exceptions),
    )


if __name__ == "__main__":
    conf_dir, landing, target = (Path(argument) for argument in sys.argv[1:4])
    trials = try_all(conf_dir, landing, is_long=sys.argv[4:] == ["--long"])
    target.write_bytes(pickle.dumps([vars(trial) for trial in trials]))
