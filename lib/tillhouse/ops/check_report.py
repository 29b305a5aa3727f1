"""What `tillhouse source check` shows: one report, as data and as text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tillhouse.ops.check import Checked
from tillhouse.ops.text import as_table
from tillhouse.quality.rules import remedy_of
from tillhouse.sources.fields import REVENUE_LINE_TYPES
from tillhouse.sources.policy import as_words
from tillhouse.tables import Table, silver

EXAMPLES = 3
_NO_CHILDREN = (silver.RECEIPT, silver.RECEIPT_VERSION, silver.EXCEPTION)
_HIDDEN = ("receipt_key", "source", "party_key")
_OF_RECEIPT = ("branch_id", "business_date", "currency")  # repeated on what belongs to a receipt


def to_report(checked: Checked, first: int = 3) -> dict[str, Any]:
    """Everything that is told of the file; ``first`` receipts or records as they look in silver."""
    item = checked.inspection
    report: dict[str, Any] = {
        "source": checked.source.name,
        "entity": checked.source.entity,
        "path": item.delivery.path,
        "is_fine": checked.accepted > 0 and checked.held is None,
        "rejected_because": item.reason,
        "held_because": checked.held,
        "notes": list(checked.notes),
        "records": {"read": item.rows_read, "broken": item.rows_broken, "left_out": item.rows_ignored},
        "columns": [{"column": d.column, "decision": d.decision, "fields": d.field} for d in item.columns],
    }
    if item.reason:
        return report
    report["exceptions"] = _exceptions(checked.exceptions)
    if checked.source.entity != "receipt":
        records = {table.full_name: rows for table, rows in checked.records.items()}
        report["kept"] = {name: rows.num_rows for name, rows in records.items()}
        report["first_records"] = {name: _shown(rows.slice(0, first)) for name, rows in records.items()}
        return report
    report["lines"] = _lines(checked)
    report["receipts"] = dict(Counter(checked.values(silver.RECEIPT_VERSION, "status")))
    report["totals"] = _totals(checked)
    report["first_receipts"] = _first_receipts(checked, first)
    return report


def _exceptions(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By rule, field and who answers until when: how many, what to do, and the first of them."""
    groups: dict[tuple[str, str, str, str, timedelta], list[Mapping[str, Any]]] = defaultdict(list)
    for row in found:
        due = row["due_at"] - row["opened_at"]
        groups[row["severity"], row["rule"], row["context"].get("field") or "", row["owner"], due].append(row)
    return [
        {
            "rule": rule,
            "severity": severity,
            "field": field,
            "count": len(rows),
            "owner": owner,
            "due": as_words(due),
            "remedy": remedy_of(rule),
            "examples": [
                {"row": row["context"].get("row"), "value": row["context"].get("value"), "record": row["record_key"]}
                for row in sorted(rows, key=lambda row: row["context"].get("row") or 0)[:EXAMPLES]
            ],
        }
        for (severity, rule, field, owner, due), rows in sorted(groups.items())
    ]


def _lines(checked: Checked) -> dict[str, int]:
    """Every delivered line is counted in one place."""
    names = {"accepted": "line_count", "rejected": "rejected_count", "repeated": "repeated_count"}
    return {name: sum(checked.values(silver.RECEIPT_VERSION, column)) for name, column in names.items()}


def _totals(checked: Checked) -> list[dict[str, Any]]:
    """Control totals by currency, to compare with the till's own report."""
    receipts = checked.table(silver.RECEIPT).to_pylist()
    lines = _by(checked.table(silver.RECEIPT_LINE), "currency")
    payments = _by(checked.table(silver.RECEIPT_PAYMENT), "currency")
    totals = []
    for currency in sorted({row["currency"] for row in receipts}):
        of_currency = [row for row in receipts if row["currency"] == currency]
        counting = [line for line in lines[currency] if line["receipt_key"] in checked.counting]
        days = [str(row["business_date"]) for row in of_currency]
        totals.append(
            {
                "currency": currency,
                "documents": len(of_currency),
                "documents_that_count": sum(row["receipt_key"] in checked.counting for row in of_currency),
                "lines": len(lines[currency]),
                "revenue": _sum(line["gross_amount"] for line in counting if line["line_type"] in REVENUE_LINE_TYPES),
                "gross": _sum(line["gross_amount"] for line in counting),
                "net": _sum(line["net_amount"] for line in counting),
                "tax": _sum(line["tax_amount"] for line in counting),
                "lines_without_tax": sum(line["tax_amount"] is None for line in counting),
                "by_document": _split((f"{row['transaction_type']} {row['status']}", row["gross_amount"]) for row in of_currency),
                "by_line": _split((line["line_type"], line["gross_amount"]) for line in lines[currency]),
                "by_tender": _split((row["tender_type"], row["amount"]) for row in payments[currency]),
                "first_day": min(days),
                "last_day": max(days),
                "branches": sorted({row["branch_id"] for row in of_currency}),
            }
        )
    return totals


def _by(rows: pa.Table, name: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    wanted = [
        column
        for column in (name, "receipt_key", "line_type", "tender_type", "gross_amount", "net_amount", "tax_amount", "amount")
        if column in rows.column_names
    ]
    for row in rows.select(wanted).to_pylist():
        groups[row[name]].append(row)
    return groups


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of what is told; None where nothing is told of something."""
    given = list(amounts)
    told = [amount for amount in given if amount is not None]
    return sum(told, Decimal("0.00")) if told or not given else None


def _split(pairs: Iterable[tuple[str, Decimal]]) -> dict[str, dict[str, Any]]:
    """How many of each kind, and their amount."""
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for kind, amount in pairs:
        amounts[kind].append(amount)
    return {kind: {"count": len(found), "amount": _sum(found)} for kind, found in sorted(amounts.items())}


def _first_receipts(checked: Checked, first: int) -> list[dict[str, Any]]:
    """The first receipts of the file with all that silver tells of them."""
    receipts = checked.table(silver.RECEIPT)
    if not receipts.num_rows:
        return []
    receipts = receipts.sort_by("_row").slice(0, first)
    children = {table: rows for table, rows in checked.tables.items() if "receipt_key" in table.key and table not in _NO_CHILDREN}
    return [
        {"receipt": _shown(receipts.slice(number, 1))[0]}
        | {table.name: _of(key, table, rows) for table, rows in children.items()}
        for number, key in enumerate(receipts["receipt_key"].to_pylist())
    ]


def _of(receipt_key: str, table: Table, rows: pa.Table) -> list[dict[str, Any]]:
    """What a table tells of one receipt."""
    own = rows.filter(pc.equal(rows["receipt_key"], receipt_key))
    order = [(name, "ascending") for name in table.key if name != "receipt_key"]
    return _shown(own.sort_by(order) if order else own, (*_HIDDEN, *_OF_RECEIPT))


def _shown(rows: pa.Table, hidden: Sequence[str] = _HIDDEN) -> list[dict[str, Any]]:
    """What is filled in rows of silver; of a token only that there is one, since a trial makes it with a key of its own."""
    names = [name for name in rows.column_names if not name.startswith("_") and name not in hidden]
    return [
        {name: "(token)" if name.endswith("_token") else row[name] for name in names if not _is_empty(row[name])}
        for row in rows.to_pylist()
    ]


def _is_empty(value: object) -> bool:
    """A flag that does not hold says nothing; an amount of zero does."""
    return value is None or value is False


def as_text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    records = report["records"]
    parts = [
        f"{report['path']} by {report['source']}\n"
        f"{records['read']:,} records read, {records['broken']:,} of them broken; {records['left_out']:,} titles or totals aside",
        *report["notes"],
    ]
    if report["rejected_because"]:
        return "\n\n".join([*parts, f"THE FILE WOULD BE REJECTED: {report['rejected_because']}"])
    parts.append(as_table(["column", "decision", "feeds"], [list(item.values()) for item in report["columns"]]))
    if "lines" in report:
        parts += _told_of_receipts(report)
    else:
        parts.append("kept: " + (_listed(report["kept"]) or "nothing"))
    parts.append("\n".join(_told_of_exceptions(report["exceptions"])) or "no exceptions")
    if "lines" in report:
        parts += [_told_of_totals(total) for total in report["totals"]]
        parts += [_told_receipt(receipt) for receipt in report["first_receipts"]]
    else:
        parts += [f"{name}, the first of them:\n{_told_rows(rows)}" for name, rows in report["first_records"].items()]
    if report["held_because"]:
        parts.append(f"THE FILE WOULD BE HELD: {report['held_because']}")
    elif not report["is_fine"]:
        parts.append("NOTHING OF THE FILE WOULD COUNT" + ("" if records["read"] else ": it has no records"))
    return "\n\n".join(parts)


def _told_of_receipts(report: Mapping[str, Any]) -> list[str]:
    return [f"lines: {_listed(report['lines'])}\nreceipts: {_listed(report['receipts']) or 'none'}"]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _told_of_exceptions(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    told = []
    for group in groups:
        field = f" of {group['field']}" if group["field"] else ""
        duty = f"{group['owner']}, within {group['due']}"
        told.append(f"{group['severity']} {group['rule']}{field}: {group['count']:,}. {group['remedy']} ({duty})")
        told += [
            f"    row {example['row']}, {example['record']}" + (f": {example['value']}" if example["value"] is not None else "")
            for example in group["examples"]
        ]
        if group["count"] > len(group["examples"]):
            told.append(f"    and {group['count'] - len(group['examples']):,} more")
    return told


def _told_of_totals(total: Mapping[str, Any]) -> str:
    """Control totals of one currency."""
    days = " to ".join(dict.fromkeys((total["first_day"], total["last_day"])))
    untaxed = f" ({total['lines_without_tax']:,} lines tell no tax)" if total["lines_without_tax"] else ""
    amounts = ", ".join(f"{name} {total[name]:,}" for name in ("gross", "net", "tax") if total[name] is not None)
    rows = [
        [what, kind, found["count"], f"{found['amount']:,}"]
        for what, name in (("documents", "by_document"), ("lines", "by_line"), ("payments", "by_tender"))
        for kind, found in total[name].items()
    ]
    counting = f"of the {total['documents_that_count']:,} documents that count"
    return (
        f"{total['currency']}: revenue {total['revenue']:,}; {amounts}{untaxed}, {counting}\n"
        f"{days}; branches {', '.join(total['branches'])}\n" + as_table(["", "kind", "count", "amount"], rows)
    )


def _told_receipt(receipt: Mapping[str, Any]) -> str:
    header = ", ".join(f"{name} {value}" for name, value in receipt["receipt"].items())
    children = [f"{name}:\n{_told_rows(rows)}" for name, rows in receipt.items() if name != "receipt" and rows]
    return "\n".join([f"receipt: {header}", *children])


def _told_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table of the columns that one of them fills."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return as_table(names, [[row.get(name) for name in names] for row in rows])
