"""What is known of the customers beside their receipts, and the truth about it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.exports import write_expected_records
from demo_chain.marketing import write_campaigns
from demo_chain.parties import load_people, usual_branches, write_parties
from demo_chain.party_records import Directory, make_records
from demo_chain.people import of_households
from demo_chain.service import write_open_items, write_tickets, write_warranties


def write_customers(con: duckdb.DuckDBPyConnection, landing: Path, truth: Path, seed: int) -> None:
    """Write the exports of CRM, loyalty scheme, shop, marketing, helpdesk and accounts, and what must come of each record."""
    people = load_people(con, seed)
    records = make_records(people, seed, usual_branches(con))
    known, first = Directory.of(records), of_households(people)
    faults = write_parties(landing, truth, people, records)
    told = (
        write_campaigns(con, landing, known, first), write_tickets(con, landing, known, people),
        write_open_items(con, landing, known, first), write_warranties(con, landing, known, first),
    )  # fmt: skip
    write_expected_records(truth / "expected_records.csv", (record for expected, _ in told for record in expected))
    faults += [fault for _, found in told for fault in found]
    con.executemany("INSERT INTO faults VALUES (?, ?, ?)", [(fault.rule, fault.source, fault.record_key) for fault in faults])
