"""The whole night in one session: bronze, silver, identity, gold, kpi."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job(None, __doc__))
