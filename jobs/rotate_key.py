"""Prepare the lake for another secret of tokens; the next run makes everything anew under it."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("rotate-key", __doc__))
