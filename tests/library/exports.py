"""Archives of our own making, which show the traps of their formats. The exports that are text lie in ``landing``."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook

# DSFinV-K: the tables of which receipts are made, by logical name, file and columns. Numbers are marked with #; a row may leave
# out its last cells.
_CLOSING = "Z_KASSE_ID Z_ERSTELLUNG Z_NR#"
_RECEIPT = f"{_CLOSING} BON_ID"
TABLES = {
    "Bonpos": (
        "lines.csv",
        f"{_RECEIPT} POS_ZEILE ARTIKELTEXT GV_TYP P_STORNO ART_NR GTIN MENGE# FAKTOR# EINHEIT STK_BR# GUTSCHEIN_NR",
    ),
    "Bonpos_USt": ("lines_vat.csv", f"{_RECEIPT} POS_ZEILE UST_SCHLUESSEL# POS_BRUTTO# POS_NETTO# POS_UST#"),
    "Bonpos_Preisfindung": ("itemamounts.csv", f"{_RECEIPT} POS_ZEILE TYP UST_SCHLUESSEL# PF_BRUTTO# PF_NETTO# PF_UST#"),
    "Bonpos_Zusatzinfo": ("subitems.csv", f"{_RECEIPT} POS_ZEILE ZI_ART_NR ZI_NAME ZI_MENGE# ZI_BASISPREIS_BRUTTO#"),
    "Bonkopf": (
        "transactions.csv",
        f"{_RECEIPT} BON_NR# BON_TYP BON_NAME BON_STORNO BON_START BON_ENDE BEDIENER_ID UMS_BRUTTO# KUNDE_ID",
    ),
    "Bonkopf_Zahlarten": (
        "datapayment.csv",
        f"{_RECEIPT} ZAHLART_TYP ZAHLART_NAME ZAHLWAEH_CODE BASISWAEH_BETRAG# ZAHLWAEH_BETRAG#",
    ),
    "Bon_Referenzen": ("references.csv", f"{_RECEIPT} REF_TYP REF_Z_KASSE_ID REF_Z_NR# REF_BON_ID"),
    "Stamm_Abschluss": ("cashpointclosing.csv", f"{_CLOSING} Z_BUCHUNGSTAG TAXONOMIE_VERSION"),
    "Stamm_Kassen": ("cashregister.csv", f"{_CLOSING} KASSE_BASISWAEH_CODE"),
    "Stamm_USt": ("vat.csv", f"{_CLOSING} UST_SCHLUESSEL# UST_SATZ# UST_BESCHR"),
    "Z_GV_Typ": ("businesscases.csv", f"{_CLOSING} GV_TYP UST_SCHLUESSEL# Z_UMS_BRUTTO# Z_UMS_NETTO# Z_UST#"),
    "Z_Zahlart": ("payment.csv", f"{_CLOSING} ZAHLART_TYP ZAHLART_NAME Z_ZAHLART_BETRAG#"),
    "Z_Waehrungen": ("cash_per_currency.csv", f"{_CLOSING} ZAHLART_WAEH ZAHLART_BETRAG_WAEH#"),
}

# Tables as text: one row per line, cells between bars; the closing is put before each row.
GERMAN = {
    "Bonkopf": """
        b1|1|Beleg||0|2025-10-25T08:00:00|2025-10-25T08:00:42|7|200,00|
        b2|2|Beleg||0|2025-10-25T09:01:00|2025-10-25T09:01:42|7|8,82|C-1001
        b3|3|Beleg||0|2025-10-25T09:30:00|2025-10-25T09:30:42|7|9,98|
        b4|4|AVTraining||0|2025-10-25T10:00:00|2025-10-25T10:00:42|7|99,99|
        b5|5|AVBelegabbruch||0|2025-10-25T10:05:00|2025-10-25T10:05:42|7|3,49|
        b6|6|Beleg||0|2025-10-25T11:00:00|2025-10-25T11:00:42|7|50,00|
        b7|7|Beleg||0|2025-10-25T12:00:00|2025-10-25T12:00:42|8|1.186,50|
        b8|8|AVBelegstorno||1|2025-10-25T12:30:00|2025-10-25T12:30:42|7|3,49|
        b9|9|Beleg||1|2025-10-25T12:40:00|2025-10-25T12:40:42|7|3,49|
        b10|10|Beleg||1|2025-10-25T12:50:00|2025-10-25T12:50:42|7|-3,49|
        b11|11|AVSonstige|Tagesabschluss|0|2025-10-25T20:00:00|2025-10-25T20:00:42|7|0,00|
        b12|12|Beleg||0|2025-10-25T20:01:00|2025-10-25T20:01:42|7|-150,00|
        b13|1.013|Beleg||0|2025-10-25T20:02:00|2025-10-25T20:02:42|7|16,70|""",
    "Bonpos": """
        b1|1|Wechselgeld|Anfangsbestand|0|||1,000||Stück|200,00000
        b2|1|Bio-Apfelsaft 1 l; naturtrüb|Umsatz|0|A100|4006390000017|2,000||Stück|2,99000
        b2|2|Pfand 0,15|Pfand|0|P015||2,000||Stück|0,15000
        b2|3|Roggenbrot 750 g|Umsatz|0|00042||1,000||Stück|3,49000
        b2|4|10 % Kundenkarte|Rabatt|0|||1,000||Stück|-0,95000
        b3|1|Menü|Umsatz|0|M9||1,000||Stück|9,98000
        b4|1|Übung|Umsatz|0|A100||1,000||Stück|99,99000
        b5|1|Roggenbrot 750 g|Umsatz|0|00042||1,000||Stück|3,49000
        b6|1|Gutschein 50 EUR|MehrzweckgutscheinKauf|0|GS50||1,000||Stück|50,00000|GS-4711-0815
        b7|1|Fernseher 55"|Umsatz|0|TV55||1,000||Stück|1.234,50000
        b7|2|Gutschein 50 EUR|MehrzweckgutscheinEinloesung|0|GS50||1,000||Stück|-50,00000|GS-4711-0815
        b7|3|Trinkgeld|TrinkgeldAN|0|||1,000||Stück|2,00000
        b8|1|Roggenbrot 750 g|Umsatz|0|00042||1,000||Stück|3,49000
        b9|1|Roggenbrot 750 g|Umsatz|0|00042||1,000||Stück|3,49000
        b10|1|Roggenbrot 750 g|Umsatz|0|00042||-1,000||Stück|3,49000
        b12|1|Abschöpfung|Geldtransit|0|||1,000||Stück|-150,00000
        b13|1|Gouda|Umsatz|0|G1||0,482||kg|10,00000
        b13|2|Wasser, Kasten|Umsatz|0|W6||2,000|6,000|Stück|0,99000""",
    "Bonpos_USt": """
        b1|1|5|200,00000|200,00000|0,00000
        b2|1|1|5,98000|5,02521|0,95479
        b2|2|1|0,30000|0,25210|0,04790
        b2|3|2|3,49000|3,26168|0,22832
        b2|4|1|-0,95000|-0,79832|-0,15168
        b3|1|1|4,99000|4,19328|0,79672
        b3|1|2|4,99000|4,66355|0,32645
        b4|1|1|99,99000|84,02521|15,96479
        b5|1|2|3,49000|3,26168|0,22832
        b6|1|5|50,00000|50,00000|0,00000
        b7|1|1|1.234,50000|1.037,39496|197,10504
        b7|2|5|-50,00000|-50,00000|0,00000
        b7|3|5|2,00000|2,00000|0,00000
        b8|1|2|3,49000|3,26168|0,22832
        b9|1|2|3,49000|3,26168|0,22832
        b10|1|2|-3,49000|-3,26168|-0,22832
        b12|1|5|-150,00000|-150,00000|0,00000
        b13|1|2|4,82000|4,50467|0,31533
        b13|2|1|11,88000|9,98319|1,89681""",
    "Bonpos_Preisfindung": """
        b2|3|base_amount|2|3,98000|3,71963|0,26037
        b2|3|discount|2|-0,49000|-0,45795|-0,03205""",
    "Bonpos_Zusatzinfo": """
        b3|1|B1|Burger|1,000|4,99000
        b3|1|C1|Cola|1,000|4,99000""",
    "Bonkopf_Zahlarten": """
        b1|Bar|Bar|EUR|200,00
        b2|Bar|Bar|CHF|8,82|8,50
        b3|ECKarte|girocard|EUR|9,98
        b4|Keine|Keine|EUR|0,00
        b6|ECKarte|girocard|EUR|50,00
        b7|Kreditkarte|VISA|EUR|1.186,50
        b9|Bar|Bar|EUR|3,49
        b10|Bar|Bar|EUR|-3,49
        b12|Bar|Bar|EUR|-150,00
        b13|ElZahlungsdienstleister|PayPal|EUR|16,70""",
    "Bon_Referenzen": """
        b6|ExterneRechnung|||RE-2025-17
        b10|Transaktion|K-DD-1|1.204|b9
        b12|Sonstwas|K-DD-1|1.204|b1""",
    "Z_GV_Typ": """
        Umsatz|1|1.257,35000|1.056,59664|200,75336
        Umsatz|2|9,81000|9,16822|0,64178
        Rabatt|1|-0,95000|-0,79832|-0,15168
        Pfand|1|0,30000|0,25210|0,04790
        Anfangsbestand|5|200,00000|200,00000|0,00000
        Geldtransit|5|-150,00000|-150,00000|0,00000
        MehrzweckgutscheinKauf|5|50,00000|50,00000|0,00000
        MehrzweckgutscheinEinloesung|5|-50,00000|-50,00000|0,00000
        TrinkgeldAN|5|2,00000|2,00000|0,00000""",
    "Z_Zahlart": """
        Bar|Bar|55,33
        ECKarte|girocard|59,98
        Kreditkarte|VISA|1.186,50
        ElZahlungsdienstleister|PayPal|16,70""",
    "Z_Waehrungen": """
        EUR|46,51
        CHF|8,50""",
}
# The next closing of the same register, which counts its receipts anew.
NEXT = {
    "Bonkopf": "b2|2|Beleg||0|2025-10-27T09:00:00|2025-10-27T09:00:42|7|3,20|",
    "Bonpos": "b2|1|Kaffee|Umsatz|0|K1||1,000||Stück|3,20000",
    "Bonpos_USt": "b2|1|1|3,20000|2,68908|0,51092",
    "Bonkopf_Zahlarten": "b2|Bar|Bar|EUR|3,20",
    "Z_GV_Typ": "Umsatz|1|3,20000|2,68908|0,51092",
    "Z_Zahlart": "Bar|Bar|3,20",
    "Z_Waehrungen": "EUR|3,20",
}
# Another vendor: dots for decimals, no grouping, times with offset, a register that nobody knows, rows that belong to nothing.
OTHER = {
    "Bonkopf": """
        m1|1|Beleg||0|2025-10-26T00:30:00.000Z|2025-10-26T00:30:30.000Z|3|3.20|
        m2|2|Beleg||0|2025-10-26T01:30:00.000Z|2025-10-26T01:30:30.000Z|3|3.20|
        m3|3|Beleg||0|2025-10-26T02:30:00|2025-10-26T02:30:42|3|3.20|
        m4|4|Beleg||0|2025-10-26T06:00:00.000Z|2025-10-26T06:00:30.000Z|3|-1234.50|
        m5|5|Beleg||0|2025-10-26T07:00:00.000Z|2025-10-26T07:00:30.000Z|3|1.23|""",
    "Bonpos": """
        m1|1|Kaffee|Umsatz|0|K1||1.000|||3.20000
        m2|1|Kaffee|Umsatz|0|K1||1.000|||3.20000
        m3|1|Kaffee|Umsatz|0|K1||1.000|||3.20000
        m4|1|Fernseher 55"|Umsatz|0|TV55||-1.000|||1234.50000
        m5|1|Kaffee|Umsatz|0|K1||1.000|||1.23000
        ghost|1|Kaffee|Umsatz|0|K1||1.000|||3.20000""",
    "Bonpos_USt": """
        m1|1|1|3.20000|2.68908|0.51092
        m2|1|1|3.20000|2.68908|0.51092
        m3|1|1|3.20000|2.68908|0.51092
        m4|1|1|-1234.50000|-1037.39496|-197.10504
        m5|1|1|1,23|1.03361|0.19639""",
    "Bonkopf_Zahlarten": """
        m1|ElZahlungsdienstleister|PayPal|EUR|3.20
        m2|Bar|Bar|EUR|3.20
        m3|Bar|Bar|EUR|3.20
        m4|Kreditkarte|VISA|EUR|-1234.50""",
    "Bon_Referenzen": """
        m4|Transaktion|K-DD-1|1204|b7""",
    "Z_GV_Typ": "Umsatz|1|-1223.67000|-1028.29412|-195.37588",
    "Z_Zahlart": """
        ElZahlungsdienstleister|PayPal|3.20
        Bar|Bar|6.40
        Kreditkarte|VISA|-1234.50""",
}


def dsfinvk(
    closing: tuple[str, str, str],
    tables: Mapping[str, str],
    *,
    decimal: str = ",",
    grouping: str = ".",
    files: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
) -> bytes:
    """An export of one closing as a ZIP with its index. ``files`` names tables differently, as home-made exporters do."""
    buffer = io.BytesIO()
    described = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (usual, columns) in TABLES.items():
            file = (files or {}).get(name, usual)
            names = [column.rstrip("#") for column in columns.split()]
            described.append(_described(name, file, columns.split(), decimal, grouping))
            rows = [line.strip() for line in tables.get(name, "").splitlines() if line.strip()]
            if name == "Stamm_Abschluss":
                rows = ["|2.4"]
            if name == "Stamm_Kassen":
                rows = ["EUR"]
            if name == "Stamm_USt":
                rows = [
                    row.replace(",", decimal) for row in ("1|19,00|Regelsteuersatz", "2|7,00|Ermäßigt", "5|0,00|Nicht steuerbar")
                ]
            lines = [";".join(names)]
            for row in rows:
                cells = [*closing, *row.split("|")]
                lines.append(";".join(_quoted(cell) for cell in [*cells, *[""] * (len(names) - len(cells))]))
            if name not in leave_out:
                archive.writestr(file, "\r\n".join(lines) + "\r\n")
        index = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE DataSet SYSTEM "gdpdu-01-09-2004.dtd">\n'
            f"<DataSet><Version>1.0</Version><Media><Name>DSFinV-K</Name>{''.join(described)}</Media></DataSet>"
        )
        archive.writestr("index.xml", index)
    return buffer.getvalue()


def _quoted(cell: str) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if set(cell) & set(';"') else cell


def _described(name: str, file: str, columns: Sequence[str], decimal: str, grouping: str) -> str:
    kinds = {True: "<Numeric><Accuracy>5</Accuracy></Numeric>", False: "<AlphaNumeric/>"}
    described = "".join(
        f"<VariableColumn><Name>{column.rstrip('#')}</Name>{kinds[column.endswith('#')]}</VariableColumn>" for column in columns
    )
    return (
        f"<Table><URL>{escape(file)}</URL><Name>{name}</Name><UTF8/><DecimalSymbol>{decimal}</DecimalSymbol>"
        f"<DigitGroupingSymbol>{grouping}</DigitGroupingSymbol><Range><From>2</From></Range><VariableLength>"
        "<ColumnDelimiter>;</ColumnDelimiter><RecordDelimiter>&#13;&#10;</RecordDelimiter>"
        f"<TextEncapsulator>&quot;</TextEncapsulator>{described}</VariableLength></Table>"
    )


def workbook() -> bytes:
    """An ERP's sheet with typed cells, a title above and a total below."""
    made = Workbook()
    at = datetime.fromisoformat("2025-10-25T09:05")
    for row in (
        ("Umsatzliste",),
        ("Filiale", "Kasse", "Bonnr", "Zeitpunkt", "ArtNr", "EAN", "Menge", "Einheit", "Betrag", "Rabatt"),
        (3, 1, 501, at, "A1", 12345678905, 2, "Stk", 0.1 + 0.2, 0.1),
        (3, "01", "0502", at, "A2", 4006381333931.0, -1, None, -1234.5, None),
        ("Summe", None, None, None, None, None, None, None, -1234.2, None),
    ):
        made.active.append(row)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def parquet() -> bytes:
    """A receipt with exact decimals, an instant with zone, and lists of its lines and payments."""
    line = pa.struct([("sku", pa.string()), ("quantity", pa.int32()), ("amount", pa.decimal128(18, 4)), ("tax", pa.float64())])
    payment = pa.struct([("type", pa.string()), ("amount", pa.decimal128(18, 2))])
    amount = Decimal("1234567890.1234")
    columns = {
        "id": pa.array([4711], pa.int64()),
        "branch": pa.array(["P"]),
        "register": pa.array([1], pa.int16()),
        "number": pa.array(["4711"]),
        "currency": pa.array(["EUR"]),
        "sold_at": pa.array([datetime(2026, 3, 29, 1, 30, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "updated_at": pa.array([datetime(2026, 3, 29, 5)], pa.timestamp("us")),  # noqa: DTZ001 - as a warehouse writes it
        "lines": pa.array([[{"sku": "A", "quantity": 3, "amount": amount, "tax": 0.1 + 0.2}]], pa.list_(line)),
        "payments": pa.array([[{"type": "invoice", "amount": Decimal("1234567890.12")}]], pa.list_(payment)),
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def dynamics() -> bytes:
    """Contacts as Dynamics 365 writes them: the first three columns are hidden, days and times are typed cells."""
    made = Workbook()
    sheet = made.active
    assert sheet is not None
    head = ("(Do Not Modify) Contact", "(Do Not Modify) Row Checksum", "(Do Not Modify) Modified On")
    sheet.append((*head, "First Name", "Last Name", "Email", "Business Phone", "Birthday", "Allow Emails?"))
    for number, name, changed, born, allows in (
        (3, "Klara", "2026-06-22T10:00", "1980-02-29", "Allow"),
        (4, "Ludwig", "2026-06-22T11:30", None, "Do Not Allow"),
        (5, "Marlene", "2026-06-22T11:45", None, None),
    ):
        day = datetime.fromisoformat(born) if born else None
        guid = f"0A1B2C3D-0000-0000-0000-00000000000{number}"
        sheet.append((guid, "cc==", datetime.fromisoformat(changed), name, "Otte", f"{name}@example.com", None, day, allows))
        if day:
            sheet.cell(sheet.max_row, 8).number_format = "dd.mm.yyyy"
    for column in "ABC":
        sheet.column_dimensions[column].hidden = True
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()
