"""What ``tillhouse source profile`` proposes for exports that nobody has mapped: by its names, order, separators and styles each
is one that it has never seen. What is expected is written by hand.
"""

from __future__ import annotations

import pytest
import yaml

from tests.sources.test_profile import LIBRARY
from tillhouse.config import to_model
from tillhouse.sources import profile
from tillhouse.sources.entities import FIELDS
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records

# Receipts, with what their columns are; amounts and times are written differently in each.
RECEIPTS = {
    "german": (
        "Filialnr;Kassennr;Belegnr;Belegdatum;Uhrzeit;Pos;Artikelnummer;Stück;Bruttobetrag\n"
        "12;1;4711;31.01.2025;09:05;1;A1;2;1.234,50\n12;1;4711;31.01.2025;09:05;2;A2;1;0,99\n",
        {"branch_id": "Filialnr", "receipt_id": "Belegnr", "started_at": "Belegdatum Uhrzeit", "gross_amount": "Bruttobetrag"},
    ),
    "english": (
        "store,till,receipt no,sold at,line,sku,qty,line total\n"
        "S1,2,77,2025-01-31 09:05:00,1,A1,2,12.50\nS1,2,77,2025-01-31 09:05:00,2,A2,1,0.99\n",
        {"branch_id": "store", "receipt_id": "receipt_no", "started_at": "sold_at", "gross_amount": "line_total"},
    ),
    "tabs": (
        "Markt\tBonnummer\tDatum\tZeit\tArtNr\tMenge\tUmsatz\n3\t9\t31.01.25\t0905\tA1\t1\t5,00\n3\t10\t31.01.25\t0910\tA1\t-1\t-5,00\n",
        {"branch_id": "Markt", "receipt_id": "Bonnummer", "started_at": "Datum Zeit", "gross_amount": "Umsatz"},
    ),
    "american": (
        "Location,Transaction ID,Date,Time,Item,Quantity,Amount\n"
        "Main,T1,01/31/2025,09:05 AM,Tea,1,3.00\nMain,T2,12/25/2025,01:10 PM,Tea,1,3.00\n",
        {"branch_id": "Location", "receipt_id": "Transaction_ID", "started_at": "Date Time", "gross_amount": "Amount"},
    ),
    "title and totals": (
        "Umsatzliste Januar;;;;\n"
        "Filiale;Bon-Nr.;Datum;Artikel-Nr.;Betrag\n1;1;31.01.2025;A1;2,50\n1;2;31.01.2025;A1;2,50\nSumme;;;;5,00\n",
        {"branch_id": "Filiale", "receipt_id": "Bon-Nr", "business_date": "Datum", "gross_amount": "Betrag"},
    ),
    "other order": (
        "Betrag|Menge|Datum/Uhrzeit|Beleg|Haus\n2,50|1|31.01.2025 09:05:10|B7|H1\n3,50|1|31.01.2025 10:05:10|B8|H2\n",
        {"branch_id": "Haus", "receipt_id": "Beleg", "started_at": "Datum/Uhrzeit", "gross_amount": "Betrag"},
    ),
    "iso with offset": (
        "branch,order id,created_at,product code,units,gross amount\n"
        "B,1,2025-01-31T09:05:00+01:00,A,1,1.00\nB,2,2025-01-31T09:06:00Z,A,1,1.00\n",
        {"branch_id": "branch", "receipt_id": "order_id", "started_at": "created_at", "gross_amount": "gross_amount"},
    ),
    "trailing minus": (
        "Laden;Bon;Buchungstag;EAN;Anzahl;Wert\n1;5;20250131;4006390000017;1;4,82-\n1;6;20250131;4006390000017;1;4,82\n",
        {"branch_id": "Laden", "receipt_id": "Bon", "business_date": "Buchungstag", "gross_amount": "Wert"},
    ),
    "misspelt": (
        "Filale;Kasse;Bonumer;Datum;Bruto\n1;1;5;31.01.2025;4,82\n1;1;6;31.01.2025;4,99\n",
        {"branch_id": "Filale", "receipt_id": "Bonumer", "business_date": "Datum", "gross_amount": "Bruto"},
    ),
    "json": (
        '{"shop": "B1", "ticket": "7", "timestamp": "2025-01-31T09:05:00Z", "amount": 2.5, "sku": "A"}\n'
        '{"shop": "B1", "ticket": "8", "timestamp": "2025-01-31T09:06:00Z", "amount": 3.25, "sku": "A"}\n',
        {"branch_id": "shop", "receipt_id": "ticket", "started_at": "timestamp", "gross_amount": "amount"},
    ),
}  # fmt: skip

# Other kinds of records, one of each at least: the kind, the file and what its columns are.
OTHERS = {
    "kontakte": (
        "contact",
        "Kundenliste;;;;;;;;;;\n"
        "Kd-Nr;Anrede;Vorname;Zuname;Firma;Mailadresse;Natel;Strasse/Nr.;PLZ;Ort;Erfasst am\n"
        "K1;Frau;Anna;Muster;;anna@example.ch;+41 79 555 01 01;Dorfstr. 1;8001;Zürich;31.01.2025 09:05\n"
        "K2;Herr;Urs;Beispiel;Beispiel AG;urs@example.ch;079 555 01 02;Seeweg 2;6003;Luzern;14.02.2025 17:20\n",
        "contact_id: Kd-Nr, given_name: Vorname, family_name: Zuname, emails: Mailadresse, phones: Natel, created_at: "
        "Erfasst_am",
    ),
    "leads": (
        "contact",
        "Person ID|E-mail address|Surname|Forename|Cell phone|Company|Town|ZIP|Country|Date of birth|Last"
        " updated|Newsletter\n"
        "77|ann@example.com|Archer|Ann|+44 20 7946 0001||Leeds|LS1 1AA|GB|31/01/1980|2025-02-28T10:00:00Z|yes\n"
        "78|bob@example.com|Bell|Bob|+44 20 7946 0002|Bell Ltd|York|YO1 7EP|GB|14/02/1975|2025-03-01T11:30:00Z|no\n",
        "contact_id: Person_ID, emails: E-mail_address, phones: Cell_phone, birth_date: Date_of_birth, changed_at: "
        "Last_updated",
    ),
    "bonusclub": (
        "contact",
        "Mitglied-Nr\tKarten-Nr\tVorname\tFamilienname\tGeb.Datum\tE-Mail-Adresse\tPunktes"
        "tand\tBonusstufe\tBeitritt\tStammmarkt\n"
        "M1\tC100\tEva\tKlein\t31.12.79\teva@example.de\t1.250,5\tGold\t15.03.20\t7\n"
        "M2\tC101\tJan\tGroß\t01.05.90\tjan@example.de\t80,0\tSilber\t16.03.20\t8\n",
        "contact_id: Mitglied-Nr, card_number: Karten-Nr, loyalty_points: Punktestand, birth_date: Geb_Datum",
    ),
    "helpdesk": (
        "ticket",
        "Case Number,Opened,Case Type,State,Store,Topic,Assignee,Customer Email,Closed\n"
        "0001,01/31/2025 09:05 AM,complaint,open,S1,delivery,Erika,ann@example.com,\n"
        "0002,02/14/2025 01:10 PM,question,closed,S2,opening hours,Otto,bob@example.com,02/15/2025 08:00 AM\n",
        "ticket_id: Case_Number, opened_at: Opened, ticket_type: Case_Type, status: State, email: Customer_Email",
    ),
    "debitoren": (
        "open_item",
        "Rechnungsnr;Belegtyp;Rechnungsdatum;Fälligkeit;Rechnungsbetrag;Offener Betrag;Kundennr;Mahnstufe\n"
        "R1;Rechnung;31.01.2025;28.02.2025;1'190.00;1'190.00;K1;0\n"
        "R2;Gutschrift;01.02.2025;28.02.2025;-89.50;0.00;K2;0\n",
        "item_id: Rechnungsnr, item_type: Belegtyp, issued_on: Rechnungsdatum, amount: Rechnungsbetrag, open_amount: "
        "Offener_Betrag",
    ),
    "mailing": (
        "campaign_contact",
        "Aktionscode;Empfänger;Gruppe;Versanddatum;Reaktion\n"
        "W25;anna@example.ch;Zielgruppe;20250131;Bestellung\n"
        "W25;urs@example.ch;Kontrolle;20250131;\n",
        "campaign_id: Aktionscode, email: Empfänger, test_group: Gruppe, occurred_on: Versanddatum, response: Reaktion",
    ),
    "stamm": (
        "product",
        "EAN-Code;Artikelbezeichnung;Artikel-Nr.;Hersteller;Wgr;VK-Preis\n"
        "4006390000017;Apfelsaft 1 l;A1;Obsthof;10;CHF 2.95\n"
        "4006381333931;Stift;A2;Schreib AG;20;CHF 1'202.50\n",
        "product_id: Artikel-Nr, gtin: EAN-Code, product_name: Artikelbezeichnung, list_price: VK-Preis",
    ),
    "inventory": (
        "stock",
        "on hand,sku,location,as of,uom\n"
        "12.5,A1,S1,2025-01-31,kg\n"
        "-2,A2,S1,2025-01-31,pcs\n",
        "product_id: sku, branch_id: location, stock_date: as_of, quantity: on_hand",
    ),
    "tarif": (
        "price_list",
        "Gültig von|Gültig bis|Verkaufspreis|Artikelnummer|Markt\n"
        "01.01.2025||10,50 €|A1|7\n"
        "01.01.2025|31.01.2025|9,90 €|A2|7\n",
        "product_id: Artikelnummer, price: Verkaufspreis, branch_id: Markt, valid_from: Gültig_von, valid_until: "
        "Gültig_bis",
    ),
    "befragung": (
        "survey_answer",
        "Befragung;Fragebogen;Frage-Nr.;Fragetext;Antwort;Sterne;Freitext;Datum;Uhrzeit;Filiale\n"
        "U1;b1;1;Wie war es?;gut;4;;31.01.2025;09:05;7\n"
        "U1;b1;2;Und sonst?;;;Mehr Brot, bitte;31.01.2025;09:05;7\n",
        "survey_id: Befragung, question_id: Frage-Nr, response_id: Fragebogen, answered_at: Datum Uhrzeit, score: "
        "Sterne",
    ),
    "calls": (
        "interaction",
        "Call ID;Begin;End;In/Out;Medium;Disposition;Customer No\n"
        "1;2025-01-31 09:05:00;2025-01-31 09:15:00;in;phone;solved;K1\n"
        "2;2025-01-31 10:05:00;2025-01-31 10:06:00;out;phone;no answer;K2\n",
        "interaction_id: Call_ID, started_at: Begin, ended_at: End, direction: In/Out, customer_number: Customer_No",
    ),
    "aktionen": (
        "campaign",
        "Aktionsnr;Aktionsname;Von;Bis;Kosten;Medium\n"
        "A1;Herbst;01.09.2025;30.09.2025;1.200,50;Post\n"
        "A2;Winter;01.12.2025;31.12.2025;80,00;E-Mail\n",
        "campaign_id: Aktionsnr, starts_on: Von, ends_on: Bis, cost_amount: Kosten",
    ),
    "einloesungen": (
        "coupon_redemption",
        "Gutscheincode;Einlösedatum;Einlösezeit;Markt;Bon;Nachlass;Kundenkarte\n"
        "G1;31.01.2025;09:05;7;4711;0,50;C1\n"
        "G2;31.01.2025;10:05;7;4712;1,00;C2\n",
        "coupon_id: Gutscheincode, redeemed_at: Einlösedatum Einlösezeit, receipt_number: Bon, discount_amount: "
        "Nachlass",
    ),
    "gutscheine": (
        "coupon",
        "Couponcode;Kampagne;Artikelnr;Ermäßigung;Beginn;Ende\n"
        "G1;A1;100;0,50;01.09.2025;30.09.2025\n"
        "G2;A1;101;1,00;01.09.2025;30.09.2025\n",
        "coupon_id: Couponcode, campaign_id: Kampagne, product_ref: Artikelnr, discount_amount: Ermäßigung",
    ),
    "garantie": (
        "warranty",
        "Seriennr;Modell;Kaufdatum;Garantie bis;Kundennummer\n"
        "S1;TV-X;31.01.2025;31.01.2027;K1\n"
        "S2;TV-Y;14.02.2025;14.02.2027;K2\n",
        "serial_number: Seriennr, ends_on: Garantie_bis, purchased_on: Kaufdatum",
    ),
    "budget": (
        "plan",
        "Marktnr;Monat;Planumsatz\n"
        "1;01.10.2025;35.000,00\n"
        "2;01.10.2025;40.000,50\n",
        "branch_id: Marktnr, starts_on: Monat, revenue_amount: Planumsatz",
    ),
    "clicks": (
        "web_event",
        '{"eventId": "e1", "eventType": "addToCart", "timestamp": "2025-01-31T09:05:00Z", "user": {"cookie":'
        ' "c1", "email": "a@example.com"}, "sku": "A1"}\n'
        '{"eventId": "e2", "eventType": "purchase", "timestamp": "2025-01-31T09:06:00Z", "user": {"cookie":'
        ' "c1", "email": "a@example.com"}, "sku": "A1"}\n',
        "event_id: eventId, event: eventType, occurred_at: timestamp, visitor_id: user/cookie, email: user/email",
    ),
    "nummern": (
        "product_reference",
        "Quellsystem;Codeart;Code;Artikelnr\n"
        "shop;EAN;4006390000017;A1\n"
        "shop;SKU;H1;A2\n",
        "system: Quellsystem, kind: Codeart, value: Code, product_id: Artikelnr",
    ),
    "maerkte": (
        "branch",
        "Marktnummer;Marktname;Kanton;Zeitzone;Eröffnung\n"
        "1;Aarau;AG;Europe/Zurich;01.03.1999\n"
        "2;Brugg;AG;Europe/Zurich;15.09.2004\n",
        "branch_id: Marktnummer, branch_name: Marktname, time_zone: Zeitzone, opened_on: Eröffnung",
    ),
    "wuensche": (
        "preference",
        "Kundennummer;Thema;Artikel;Budget;Geplant am\n"
        "K1;TV;TV55;1.500,00;31.12.2025\n"
        "K2;Brot;;;\n",
        "customer_number: Kundennummer, category: Thema, product_ref: Artikel, budget_amount: Budget",
    ),
    "sets": (
        "bundle_component",
        "Stücklistennr;Komponente;Anzahl\n"
        "M9;B1;1\n"
        "M9;C1;2\n",
        "bundle_id: Stücklistennr, product_id: Komponente, quantity: Anzahl",
    ),
    "baum": (
        "category",
        "Quelle;Kategorie;Hauptgruppe;Untergruppe\n"
        "shop;Käse;FOOD;DAIRY\n"
        "shop;Socken;TEXTILES;SOCKS\n",
        "system: Quelle, category_ref: Kategorie, category_l1: Hauptgruppe",
    ),
}  # fmt: skip


def proposed(text: str, encoding: str) -> profile.Profile:
    return profile.profile(text.encode(encoding), "export.txt", LIBRARY)


def origins(found: profile.Profile) -> dict[str, str]:
    """Each field of the proposal with the columns that it is read from."""
    columns = found.mapping["columns"].items()
    return {name: " ".join(origin.get("aliases") or origin.get("join") or origin["collect"]) for name, origin in columns}


def check_that_it_reads(found: profile.Profile, content: bytes) -> Source:
    """What is printed is a mapping with all mandatory fields, and reads each record of the file."""
    source = to_model(Source, yaml.safe_load(profile.as_text(found)), "proposal")
    records = read_records(content, source)
    assert (len(records.rows), records.broken, found.missing) == (2, [], [])
    return source


@pytest.mark.parametrize("name", RECEIPTS)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_mapping_is_proposed_for_receipts_that_nobody_has_mapped_and_it_reads_the_file(name: str, encoding: str) -> None:
    text, expected = RECEIPTS[name]
    found = proposed(text, encoding)
    assert found.kinds[0].kind == "receipt"
    assert origins(found).items() >= expected.items()
    check_that_it_reads(found, text.encode(encoding))


@pytest.mark.parametrize(
    ("name", "encoding"),
    [(name, code) for name in OTHERS for code in ("utf-8", "cp1252", "utf-16") if (name, code) != ("clicks", "utf-16")],  # JSON
)
def test_the_kind_of_record_is_told_and_a_mapping_proposed_that_reads_the_file(name: str, encoding: str) -> None:
    kind, text, expected = OTHERS[name]
    found = proposed(text, encoding)
    told = dict(part.split(": ") for part in expected.split(", "))
    assert found.kinds[0].kind == kind
    assert origins(found).items() >= told.items()
    assert {field.name for field in FIELDS[kind] if field.required} <= told.keys()
    check_that_it_reads(found, text.encode(encoding))


def test_every_kind_of_record_is_among_the_files() -> None:
    assert {kind for kind, _, _ in OTHERS.values()} == FIELDS.keys() - {"receipt"}
