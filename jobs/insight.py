"""Measure customers: their state, segments and score, whether they come back, and what is conspicuous."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("insight", __doc__))
