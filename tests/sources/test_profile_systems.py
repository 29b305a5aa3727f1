"""What ``tillhouse source profile`` proposes for exports with the names and the many columns that systems in use write."""

from __future__ import annotations

import pytest

from tests.sources.test_profile_proposals import check_that_it_reads, origins, proposed
from tillhouse.sources.profile import as_text

EXPORTS = {
    "address_book": (
        "contact",
        '"First Name","Middle Name","Last Name","Title","Suffix","Nickname","E-mail Address","E-mail 2 Address",'
        '"Home Phone","Mobile Phone","Business Phone","Company","Job Title","Home Street","Home City",'
        '"Home Postal Code","Home Country/Region","Birthday","Notes"\n'
        "Ann,,Archer,,,,ann@example.com,,,+44 7700 900001,,Bell Ltd,Buyer,1 High St,Leeds,LS1 1AA,United Kingdom,"
        "1980-01-31,\n"
        "Bob,,Bell,,,,bob@example.com,,,+44 7700 900002,,,,2 High St,York,YO1 7EP,United Kingdom,,\n",
        "given_name: First_Name, family_name: Last_Name, emails: E-mail_Address E-mail_2_Address, birth_date: Birthday",
    ),
    "crm": (
        "contact",
        "Record Id,Contact Owner,First Name,Last Name,Account Name,Email,Phone,Mobile,Mailing Street,Mailing City,"
        "Mailing Zip,Mailing Country,Created Time,Modified Time,Email Opt Out\n"
        "zcrm_1,Otto,Ann,Archer,Bell Ltd,ann@example.com,+49 30 23125001,,Lindenweg 4,Dresden,01067,Germany,"
        "2024-03-12 09:14:00,2026-09-30 08:00:00,false\n"
        "zcrm_2,Otto,Bob,Bell,,bob@example.com,+49 30 23125002,,,,,Germany,2024-03-12 09:14:00,2026-09-30 08:00:00,"
        "true\n",
        "contact_id: Record_Id, emails: Email, phones: Phone Mobile, postal_code: Mailing_Zip, changed_at: Modified_Time",
    ),
    "deals": (
        "contact",
        "Person - ID,Person - Name,Person - Organization,Person - Email - Work,Person - Phone - Work,"
        "Person - Person created,Person - Update time\n"
        "1,Ann Archer,Bell Ltd,ann@example.com,+49 30 23125001,2024-03-12 09:14:00,2026-09-30 08:00:00\n"
        "2,Bob Bell,,bob@example.com,,2024-03-12 09:14:00,2026-09-30 08:00:00\n",
        "contact_id: Person_-_ID, emails: Person_-_Email_-_Work, company: Person_-_Organization",
    ),
    "swiss_erp": (
        "contact",
        "Adressnr.;Anrede;Name;Vorname;Zusatz;Strasse;Hausnr.;PLZ;Ort;Land;Tel. G;Natel;E-Mail;Sprache;"
        "Mutationsdatum\n"
        "1001;Frau;Muster;Anna;;Dorfstrasse;1;8001;Zürich;CH;;+41 79 555 01 01;anna@example.ch;D;31.01.2025\n"
        "1002;Herr;Beispiel;Urs;;Seeweg;2;6003;Luzern;CH;;079 555 01 02;urs@example.ch;D;14.02.2025\n",
        "contact_id: Adressnr, given_name: Vorname, family_name: Name, changed_at: Mutationsdatum",
    ),
    "newsletter": (
        "contact",
        "Empfänger-ID;E-Mail;Registriert;Aktiviert;Deaktiviert;Quelle;Anrede;Vorname;Nachname;Firma\n"
        "1;anna@example.ch;31.01.2025 09:05;31.01.2025 09:06;;Formular;Frau;Anna;Muster;\n"
        "2;urs@example.ch;14.02.2025 17:20;14.02.2025 17:21;;Import;Herr;Urs;Beispiel;Beispiel AG\n",
        "contact_id: Empfänger-ID, emails: E-Mail, created_at: Registriert",
    ),
    "helpdesk": (
        "ticket",
        "ID,Requester,Requester id,Requester external id,Requester email,Requester domain,Submitter,Assignee,Group,"
        "Subject,Tags,Status,Priority,Via,Ticket type,Created at,Updated at,Assigned at,Solved at,"
        "Satisfaction Score\n"
        "35436,Ann Archer,2097,,ann@example.com,example.com,Ann Archer,Otto,Support,Broken TV,tv,Open,High,Email,"
        "Problem,2025-01-31 09:05,2025-01-31 10:00,,,\n"
        "35437,Bob Bell,2098,,bob@example.com,example.com,Bob Bell,Otto,Support,Where is it,,Solved,Low,Web,Question,"
        "2025-02-14 09:05,2025-02-14 10:00,,2025-02-15 08:00,Good\n",
        "ticket_id: ID, opened_at: Created_at, closed_at: Solved_at, email: Requester_email, agent: Assignee",
    ),
    "service_desk": (
        "ticket",
        "Ticket ID,Subject,Status,Priority,Source,Type,Agent,Group,Created time,Due by Time,Resolved time,"
        "Closed time,Full name,Email,Contact ID\n"
        "101,Broken TV,Open,High,Email,Problem,Otto,Support,2025-01-31 09:05:00,2025-02-02 09:05:00,,,Ann Archer,"
        "ann@example.com,5001\n"
        "102,Where is it,Closed,Low,Phone,Question,Otto,Support,2025-02-14 09:05:00,2025-02-16 09:05:00,"
        "2025-02-15 09:05:00,2025-02-15 10:05:00,Bob Bell,bob@example.com,5002\n",
        "ticket_id: Ticket_ID, opened_at: Created_time, status: Status, email: Email",
    ),
    "telephony": (
        "interaction",
        "call id,date,time,number timezone,direction,from,to,missed call,duration (total),agent,tags,comments\n"
        "1,2025-01-31,09:05:00,Europe/Zurich,inbound,+41 79 555 01 01,+41 44 555 00 00,No,300,Otto,,\n"
        "2,2025-01-31,10:05:00,Europe/Zurich,outbound,+41 44 555 00 00,+41 79 555 01 02,No,60,Otto,,\n",
        "interaction_id: call_id, started_at: date time, direction: direction, agent: agent",
    ),
    "bookkeeping": (
        "open_item",
        "Belegnummer;Belegtyp;Belegdatum;Fälligkeitsdatum;Kunde;Kundennummer;Bruttobetrag;Offener Betrag;Währung;"
        "Status\n"
        "RE100;Rechnung;31.01.2025;14.02.2025;Muster GmbH;10001;1.190,00;1.190,00;EUR;offen\n"
        "GU101;Gutschrift;01.02.2025;15.02.2025;Beispiel AG;10002;-89,00;0,00;EUR;bezahlt\n",
        "item_id: Belegnummer, item_type: Belegtyp, issued_on: Belegdatum, amount: Bruttobetrag, customer_number: "
        "Kundennummer",
    ),
    "web_shop": (
        "product",
        "ID,Type,SKU,GTIN,Name,Published,Is featured?,Regular price,Categories,Parent,Brands\n"
        "1,simple,A1,4006390000017,Apple juice,1,0,2.95,Drinks,,Obsthof\n"
        "2,variation,A2,4006381333931,Pen,1,0,1.50,Office,A1,Stabilo\n",
        "product_id: SKU, gtin: GTIN, product_name: Name, list_price: Regular_price",
    ),
    "trade_system": (
        "product",
        "Artikelnummer;Artikelname;HAN;EAN/Barcode;Hersteller;Brutto-VK;Kategorie Ebene 1;Kategorie Ebene 2;"
        "Vaterartikel\n"
        "A1;Apfelsaft;;4006390000017;Obsthof;2,95;Getränke;Säfte;\n"
        "A2;Stift;;4006381333931;Stabilo;1,50;Büro;;\n",
        "product_id: Artikelnummer, gtin: EAN/Barcode, list_price: Brutto-VK, category_l1: Kategorie_Ebene_1",
    ),
    "inventory": (
        "stock",
        "Handle,Title,SKU,Location,Incoming,Unavailable,Committed,Available,On hand,Date\n"
        "a1,Juice,A1,Zurich,0,0,1,11,12,2025-01-31\n"
        "a2,Pen,A2,Zurich,0,0,0,5,5,2025-01-31\n",
        "product_id: SKU, branch_id: Location, stock_date: Date, quantity: On_hand",
    ),
    "mail_service": (
        "campaign_contact",
        "Campaign ID,Event,Timestamp,Email,Channel\n"
        "abc,Opened Email,2025-01-31T09:05:00Z,ann@example.com,email\n"
        "abc,Clicked Email,2025-01-31T09:06:00Z,bob@example.com,email\n",
        "campaign_id: Campaign_ID, event: Event, occurred_at: Timestamp, email: Email",
    ),
    "web_analytics": (
        "web_event",
        "event_id,event_name,event_timestamp,user_pseudo_id,device_category,value,currency\n"
        "e1,add_to_cart,2025-01-31 09:05:00,c.1,mobile,5.98,EUR\n"
        "e2,purchase,2025-01-31 09:15:00,c.1,mobile,5.98,EUR\n",
        "event_id: event_id, event: event_name, occurred_at: event_timestamp, currency: currency",
    ),
    "till": (
        "receipt",
        "Sale ID,Date,Store,Register,Employee,Item Description,SKU,Quantity,Retail Price,Subtotal,Discount,Tax,"
        "Total\n"
        "1001,2025-01-31 09:05:00,Zurich,T1,Erika,Juice,A1,2,2.95,5.90,0.00,0.45,5.90\n"
        "1002,2025-01-31 09:15:00,Zurich,T1,Erika,Pen,A2,1,1.50,1.50,0.00,0.11,1.50\n",
        "receipt_id: Sale_ID, branch_id: Store, business_date: Date, gross_amount: Total",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_with_the_names_of_a_system_in_use_is_understood(name: str) -> None:
    kind, text, expected = EXPORTS[name]
    found = proposed(text, "utf-8")
    assert found.kinds[0].kind == kind
    assert origins(found).items() >= dict(part.split(": ") for part in expected.split(", ")).items()
    check_that_it_reads(found, text.encode())


def test_a_ledger_that_does_not_say_what_its_documents_are_is_asked_for_it() -> None:
    head = "Konto;Rechnungsnummer;Datum;Fälligkeit;Betrag Soll;Betrag Haben;Saldo"
    found = proposed(f"{head}\n10001;RE-100;31.01.2025;28.02.2025;9,50;0,00;9,50\n", "cp1252")
    assert (found.kinds[0].kind, found.missing) == ("open_item", ["item_type"])
    assert "item_type: {value: invoice}" in as_text(found)
