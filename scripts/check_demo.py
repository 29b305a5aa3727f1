#!/usr/bin/env python3
"""Compare the lake of the whole demo chain with the truth about it; exit code 1 if anything differs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from demo_chain.check import Comparison, compare, identities, returns
from demo_chain.check_flags import hotspots

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Print the table of ``scripts/check_demo``."""
    parser = argparse.ArgumentParser(prog="scripts/check_demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "demo", help="folder with lake/ and truth/ (demo)")
    out = parser.parse_args().out.resolve()
    compared = compare(out)
    came_back, flagged = returns(out), hotspots(out)
    sys.stdout.write(f"{as_text(compared)}\n{identities(out)}\n{came_back}\n{flagged}\n")
    return 0 if came_back.ok and flagged.ok and all(part.ok for part in compared) else 1


def as_text(compared: list[Comparison]) -> str:
    """One line for each part of the truth, and examples of what differs."""
    lines = ["compared with the truth"]
    for part in compared:
        lines.append(f"  {part.name:<76} {part.equal:>7,} of {part.expected:>7,}  {'=' if part.ok else 'DIFFERS'}")
        lines += [f"      {text}" for text in part.differing]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
