"""Load every newly delivered file once, as text with its file and row."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("bronze", __doc__))
