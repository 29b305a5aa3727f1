"""Bring the lake of an older release forward to this one."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("upgrade", __doc__))
