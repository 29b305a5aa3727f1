"""Bring the pages of APIs into the landing area; needs no Spark."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("pull", __doc__))
