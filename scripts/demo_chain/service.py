"""What service and accounting know: tickets about planted returns, invoices of companies with dunning, devices with warranty."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb

from demo_chain.parties import write_rows
from demo_chain.people import Person

EXPORTED = "20180102T0600"
TICKET_COLUMNS = (
    "Ticket;Art;Status;Priorität;Kanal;Kategorie;Ursache;Betreff;Notiz;Eröffnet am;Geschlossen am;Geändert am;Filiale;Artikel;"
    "Bonnummer;Team;Bearbeiter;Kundennummer;Kartennummer;E-Mail;Telefon;Kontakt-ID"
)
ITEM_COLUMNS = "Belegnummer;Belegart;Rechnung;Mahnstufe;Belegdatum;Fällig am;Bezahlt am;Betrag;Offen;Währung;Filiale;Debitor"
WARRANTY_COLUMNS = "serial,model,article,bought,start,end,branch,receipt,customer_no,cancelled"
DEVICES = ("PORTABLE ELECTRIC APPLIANCES", "PERSONAL CARE APPLIANCES", "AUDIO/VIDEO PRODUCTS", "WATCHES/CALCULATORS/LOBBY")
DUNNING_FEE = 500
_CAUSES = ("defekt", "falsch geliefert", "nicht frisch", "gefällt nicht")


def write_tickets(con: duckdb.DuckDBPyConnection, landing: Path) -> int:
    """A complaint for some of the returns of known customers; most of them are closed after some days."""
    rows = []
    returns = con.execute(
        """
        SELECT return_id, branch_id, product_id, department, local_at, card_number FROM returned
        WHERE card_number <> '' AND draw('ticket', return_id, 100) < 15 ORDER BY return_id
        """
    ).fetchall()
    for receipt, branch, product, department, at, card in returns:
        lot = random.Random(f"ticket:{receipt}")  # noqa: S311 - nothing secret
        closed_at = at + timedelta(days=lot.randint(1, 20), hours=2) if lot.randrange(100) < 80 else None
        rows.append((
            f"T{receipt}", "Reklamation", "geschlossen" if closed_at else "offen", lot.choice(("hoch", "normal", "normal")),
            lot.choice(("phone", "email", "store")), department, lot.choice(_CAUSES), "Rückgabe", "", f"{at:%d.%m.%Y %H:%M}",
            f"{closed_at:%d.%m.%Y %H:%M}" if closed_at else "", f"{closed_at or at:%d.%m.%Y %H:%M}", branch, product, receipt,
            "Service", f"Bearbeiter {lot.randint(1, 12)}", "", card, "", "", "",
        ))  # fmt: skip
    write_rows(landing / "tickets" / f"tickets_{EXPORTED}.csv", TICKET_COLUMNS, rows, delimiter=";")
    return len(rows)


def write_open_items(con: duckdb.DuckDBPyConnection, landing: Path, people: Mapping[int, Person]) -> int:
    """Monthly invoices of companies over what their card bought; some are paid late, after a dunning notice, or not at all."""
    bought = con.execute(
        """
        SELECT household_id, date_trunc('month', local_at) AS month, sum(amount) AS amount, min(branch_id) AS branch_id
        FROM lines JOIN receipts USING (basket_id, week, delay)
        WHERE receipts.kind = 'SALE' AND receipts.delay = 0 AND household_id IN (SELECT unnest($1))
        GROUP BY ALL HAVING sum(amount) > 0 ORDER BY ALL
        """,
        [[number for number, person in people.items() if person.is_company]],
    ).fetchall()
    rows = [row for household, month, amount, branch in bought for row in _items(people[household], month.date(), amount, branch)]
    total = ("Summe", *[""] * 11)
    write_rows(landing / "accounts" / f"items_{EXPORTED}.csv", ITEM_COLUMNS, [*rows, total], "cp1252", ";")
    return len(rows)


def _items(person: Person, month: date, amount: int, branch: str) -> Iterator[tuple[object, ...]]:
    lot = random.Random(f"invoice:{person.person_id}:{month}")  # noqa: S311 - nothing secret
    invoice = f"R{person.household_id}-{month:%Y%m}"
    issued = (month + timedelta(days=31)).replace(day=1)
    due = issued + timedelta(days=30)
    delay = lot.choice((-5, -5, -2, 0, 3, 25, 60, None))
    paid = None if delay is None else due + timedelta(days=delay)
    yield (
        invoice, "RE", invoice, "", f"{issued:%d.%m.%Y}", f"{due:%d.%m.%Y}", f"{paid:%d.%m.%Y}" if paid else "", _betrag(amount),
        _betrag(0 if paid else amount), "USD", branch, person.customer_number,
    )  # fmt: skip
    for level, days in ((1, 14), (2, 35)):
        noticed = due + timedelta(days=days)
        if paid is None or paid > noticed:
            fee, until = DUNNING_FEE * level, noticed + timedelta(days=10)
            yield (
                f"M{invoice[1:]}-{level}", "MA", invoice, level, f"{noticed:%d.%m.%Y}", f"{until:%d.%m.%Y}", "", _betrag(fee),
                _betrag(0 if paid else fee), "USD", branch, person.customer_number,
            )  # fmt: skip


def _betrag(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02d}"


def write_warranties(con: duckdb.DuckDBPyConnection, landing: Path, people: Mapping[int, Person]) -> int:
    """Two years on each device that was sold on a card."""
    sold = con.execute(
        """
        SELECT basket_id, position, product_id, product_type, CAST(local_at AS DATE), branch_id, household_id
        FROM lines JOIN receipts USING (basket_id, week, delay) JOIN products USING (product_id)
        WHERE receipts.kind = 'SALE' AND receipts.delay = 0 AND card_number <> '' AND quantity = 1 AND amount >= 500
          AND product_category IN (SELECT unnest($1))
        ORDER BY basket_id, position
        """,
        [list(DEVICES)],
    ).fetchall()
    rows = [
        (
            f"SN{receipt}-{position}", model or "", product, day, day, day + timedelta(days=730), branch, receipt,
            people[household].customer_number, "",
        )
        for receipt, position, product, model, day, branch, household in sold if household in people
    ]  # fmt: skip
    write_rows(landing / "warranties" / f"warranties_{EXPORTED}.csv", WARRANTY_COLUMNS, rows)
    return len(rows)
