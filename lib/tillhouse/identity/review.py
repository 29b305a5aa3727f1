from __future__ import annotations


def write(store, rules, run_id, at):
    pass
