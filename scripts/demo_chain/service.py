"""What service and accounting know: tickets about planted returns, invoices of companies with dunning, devices with warranty."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from demo_chain.exports import EXPORTED, EXPORTED_ON, ZONE, Expected, Fault, Told, betrag, money, write_rows
from demo_chain.party_records import Directory
from demo_chain.people import Person, international

TICKET_COLUMNS = (
    "Ticket;Art;Status;Priorität;Kanal;Kategorie;Ursache;Betreff;Notiz;Eröffnet am;Geschlossen am;Geändert am;Filiale;Artikel;"
    "Bonnummer;Team;Bearbeiter;Kundennummer;Kartennummer;E-Mail;Telefon;Kontakt-ID"
)
ITEM_COLUMNS = "Belegnummer;Belegart;Rechnung;Mahnstufe;Belegdatum;Fällig am;Bezahlt am;Betrag;Offen;Währung;Filiale;Debitor"
WARRANTY_COLUMNS = "serial,model,article,bought,start,end,branch,receipt,customer_no,cancelled"
TICKET_PERCENT, CLOSED_PERCENT, LINKED_PERCENT = 15, 80, 40  # of returns; of tickets; of tickets of people whom the CRM knows
DUNNING_FEE, DUNNED_AFTER, PAYS_AFTER = 500, (14, 35), (-5, -5, -2, 0, 3, 25, 60, None)  # days after the invoice is due
DEVICE_GROUPS = ("PORTABLE ELECTRIC APPLIANCES", "PERSONAL CARE APPLIANCES", "AUDIO/VIDEO PRODUCTS", "WATCHES/CALCULATORS/LOBBY")
DEVICES = (
    "HAIR DRYERS STYLERS SETTER", "BLEND/MIX", "GENERAL USE/MISC", "DVD PLAYERS", "COFFEE", "PERSNL APPL: FT BTH/MASSGRS",
    "FOOD SAVERS", "TOAST/GRIDDLES", "IRONS", "TELEVISIONS", "SHAVERS: MENS  WOMENS", "CAN OPENERS", "PORTABLE AUDIO",
    "WATCHES WATCH BANDS", "HOME AUDIO", "CLOCK RADIO",
)  # fmt: skip
_CAUSES = ("defekt", "falsch geliefert", "nicht frisch", "gefällt nicht")


def write_tickets(con: duckdb.DuckDBPyConnection, landing: Path, known: Directory, people: Sequence[Person]) -> Told:
    """A complaint about some returns of known customers, named as the channel tells them; one cannot be read."""
    rows, expected, faults = [], [], []
    of_household: dict[int, list[Person]] = {}
    for person in people:
        of_household.setdefault(person.household_id, []).append(person)
    returns = con.execute(
        """
        SELECT return_id, branch_id, product_id, department, date_trunc('minute', local_at), household_id
        FROM returned JOIN cards USING (card_number)
        WHERE draw('ticket', return_id, 100) < $1 AND household_id IN (SELECT household_id FROM sold) ORDER BY return_id
        """,
        [TICKET_PERCENT],
    ).fetchall()
    for receipt, branch, product, department, at, household in returns:
        lot = random.Random(f"ticket:{receipt}")  # noqa: S311 - nothing secret
        person = lot.choice(of_household[household])
        closed_at = at + timedelta(days=lot.randint(1, 20), hours=2) if lot.randrange(100) < CLOSED_PERCENT else None
        if closed_at and closed_at.date() >= EXPORTED_ON:
            closed_at = None
        channel, named, is_known = _named(person, known, lot)
        ticket, state = f"T{receipt}", "closed" if closed_at else "open"
        rows.append((
            ticket, "Reklamation", "geschlossen" if closed_at else "offen", lot.choice(("hoch", "normal", "normal")), channel,
            department, lot.choice(_CAUSES), "Rückgabe", f"Gespräch mit {person.given_name} {person.family_name}", _local(at),
            _local(closed_at), _local(closed_at or at), branch, product, receipt, "Service", f"Bearbeiter {lot.randint(1, 12)}",
            *named,
        ))  # fmt: skip
        expected.append(
            Expected(
                "ticket",
                "tickets_csv",
                ticket,
                "".join(named),
                branch,
                str(product),
                str(receipt),
                _utc(at),
                _utc(closed_at),
                state,
                person_id=person.person_id,
            )
        )
        if not is_known:
            faults.append(Fault("reference_unknown", "tickets_csv", ticket))
    unread = ("T0", "Reklamation", "offen", *[""] * 6, "gestern", "", "02.01.2018 06:00", *[""] * 10)
    write_rows(landing / "tickets" / f"tickets_{EXPORTED}.csv", TICKET_COLUMNS, [*rows, unread], delimiter=";")
    return expected, [*faults, Fault("field_unreadable", "tickets_csv", "T0")]


def _named(person: Person, known: Directory, lot: random.Random) -> tuple[str, tuple[str, ...], bool]:
    """How a ticket came in; by what it names somebody, as five cells of which one is filled; whether a contact has that too."""
    linked = known.crm_ids.get(person.person_id)
    if linked and lot.randrange(100) < LINKED_PERCENT:
        return "chat", ("", "", "", "", linked), True
    mobile = international(person.mobile, person.country)
    ways = {
        "web": (person.customer_number, known.customer_numbers), "store": (person.card_number, known.cards),
        "email": (person.email, known.emails), "phone": (mobile, known.phones),
    }  # fmt: skip
    channel = lot.choice(list(ways))
    value, names = ways[channel]
    return channel, (*(value if way == channel else "" for way in ways), ""), value in names


def _local(at: datetime | None) -> str:
    return f"{at:%d.%m.%Y %H:%M}" if at else ""


def _utc(at: datetime | None) -> str:
    return f"{at.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else ""


def write_open_items(con: duckdb.DuckDBPyConnection, landing: Path, known: Directory, people: Mapping[int, Person]) -> Told:
    """Monthly invoices of companies over what they bought on their card; some are paid late, after dunning, or not at all."""
    bought = con.execute(
        """
        SELECT household_id, CAST(date_trunc('month', business_date) AS DATE) AS month, sum(revenue) AS amount,
               min(branch_id) AS branch_id
        FROM sold JOIN branches USING (store_id)
        WHERE household_id IN (SELECT unnest($1)) AND basket_id IN (SELECT basket_id FROM receipts WHERE card_number <> '')
        GROUP BY household_id, month HAVING sum(revenue) > 0 ORDER BY household_id, month
        """,
        [[number for number, person in people.items() if person.is_company]],
    ).fetchall()
    rows, expected = [], []
    for household, month, amount, branch in bought:
        person = people[household]
        for kind, number, level, issued, due, paid, cents in _items(person, month, amount):
            open_cents = 0 if paid else cents
            invoice = f"R{person.household_id}-{month:%Y%m}"
            rows.append((
                number, {"invoice": "RE", "dunning": "MA"}[kind], invoice, level, f"{issued:%d.%m.%Y}", f"{due:%d.%m.%Y}",
                f"{paid:%d.%m.%Y}" if paid else "", betrag(cents), betrag(open_cents), "USD", branch, person.customer_number,
            ))  # fmt: skip
            expected.append(
                Expected(
                    "open_item",
                    "open_items_csv",
                    number,
                    person.customer_number,
                    branch,
                    begins=str(issued),
                    ends=str(paid or ""),
                    state=kind + level,
                    amount=money(cents),
                    open_amount=money(open_cents),
                    person_id=person.person_id,
                )
            )
    total = ("Summe", *[""] * 11)
    write_rows(landing / "accounts" / f"items_{EXPORTED}.csv", ITEM_COLUMNS, [*rows, total], "cp1252", ";")
    return expected, _of_nobody(expected, known)


Item = tuple[str, str, str, date, date, date | None, int]


def _items(person: Person, month: date, amount: int) -> Iterator[Item]:
    """An invoice and its dunning notices: kind, number, level, day, due day, day of payment, amount. Nothing after the export."""
    lot = random.Random(f"invoice:{person.person_id}:{month:%Y-%m}")  # noqa: S311 - nothing secret
    number = f"{person.household_id}-{month:%Y%m}"
    issued = (month + timedelta(days=31)).replace(day=1)
    if issued >= EXPORTED_ON:
        return
    due = issued + timedelta(days=30)
    delay = lot.choice(PAYS_AFTER)
    paying = None if delay is None else due + timedelta(days=delay)
    paid = paying if paying and paying < EXPORTED_ON else None
    yield "invoice", f"R{number}", "", issued, due, paid, amount
    for level, days in enumerate(DUNNED_AFTER, start=1):
        noticed = due + timedelta(days=days)
        if noticed < EXPORTED_ON and (paying is None or paying > noticed):
            yield "dunning", f"M{number}-{level}", str(level), noticed, noticed + timedelta(days=10), paid, DUNNING_FEE * level


def write_warranties(con: duckdb.DuckDBPyConnection, landing: Path, known: Directory, people: Mapping[int, Person]) -> Told:
    """Two years on each device that was sold on a card."""
    devices = con.execute(
        """
        SELECT basket_id, row_number() OVER (PARTITION BY basket_id ORDER BY product_id), product_id, product_type, business_date,
               branch_id, household_id
        FROM sold JOIN branches USING (store_id) JOIN products USING (product_id)
        WHERE product_category IN (SELECT unnest($1)) AND product_type IN (SELECT unnest($2)) AND revenue >= 300
          AND basket_id IN (SELECT basket_id FROM receipts WHERE card_number <> '')
        ORDER BY ALL
        """,
        [list(DEVICE_GROUPS), list(DEVICES)],
    ).fetchall()
    rows, expected = [], []
    for receipt, number, product, model, day, branch, household in devices:
        person, serial, until = people[household], f"SN{receipt}-{number}", day + timedelta(days=730)
        rows.append((serial, model, product, day, day, until, branch, receipt, person.customer_number, ""))
        expected.append(
            Expected(
                "warranty",
                "warranties_csv",
                f"{serial}/{model}/{product}",
                person.customer_number,
                branch,
                str(product),
                str(receipt),
                str(day),
                str(until),
                person_id=person.person_id,
            )
        )
    write_rows(landing / "warranties" / f"warranties_{EXPORTED}.csv", WARRANTY_COLUMNS, rows)
    return expected, _of_nobody(expected, known)


def _of_nobody(records: Sequence[Expected], known: Directory) -> list[Fault]:
    """Records that name a customer number which no contact has."""
    unknown = [record for record in records if record.named_by not in known.customer_numbers]
    return [Fault("reference_unknown", record.source, record.record_id) for record in unknown]
