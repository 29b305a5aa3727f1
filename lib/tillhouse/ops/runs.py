"""A run: its id, its log, what each step did, and up to which versions the tables have been worked through."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from tillhouse.config import Config
from tillhouse.store import Store
from tillhouse.tables import ops

log = logging.getLogger("tillhouse")


@dataclass(frozen=True)
class Run:
    """What every step of one run knows. ``as_of`` is business time; ``started_at`` only says when the run was.

    ``again`` names receipts that are worked on again although nothing says that they changed (SQL over ``branch_id`` and
    ``business_date``). ``wait_seconds`` is how long it waits while another run works on the lake.
    """

    store: Store
    config: Config
    run_id: str
    started_at: datetime
    as_of: date | None = None
    full: bool = False
    again: str | None = None
    wait_seconds: float = 0


@dataclass(frozen=True)
class StepResult:
    """How a step ended."""

    step: str
    status: str
    reason: str | None
    started_at: datetime
    seconds: float
    figures: Mapping[str, int]


def new_run_id(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def utc_now() -> datetime:
    """With its zone, because Spark takes a naive time for one of the machine's own zone."""
    return datetime.now(UTC)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": time, "level": record.levelname, "message": record.getMessage(), **facts}, default=str)


def log_to_stderr() -> None:
    """Structured lines on stderr, for schedulers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def tell(message: str, **facts: object) -> None:
    """One structured log line. Facts never hold personal data."""
    log.info(message, extra={"facts": facts})


def record_steps(run: Run, results: list[StepResult]) -> None:
    """Keep what the steps did in ops.run_step."""
    rows = [(run.run_id, r.step, r.status, r.reason, r.started_at, r.seconds, dict(r.figures)) for r in results]
    run.store.append(ops.RUN_STEP, run.store.spark.createDataFrame(rows, ops.RUN_STEP.struct))
