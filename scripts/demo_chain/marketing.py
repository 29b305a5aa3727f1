"""The real campaigns of the data: whom they reached, their coupons, and which of them were used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from demo_chain.exports import EXPORTED, Expected, Fault, Told, money, write_rows
from demo_chain.party_records import Directory
from demo_chain.people import Person

COST_OF_LETTER = 45
# Campaigns that had begun by the last receipt of the selection.
_BEGUN = """
    CREATE TABLE begun AS
    SELECT campaign_id, campaign_type, CAST(start_date AS DATE) AS starts, CAST(end_date AS DATE) AS ends
    FROM campaign_descriptions WHERE start_date <= (SELECT max(local_at) FROM receipts)"""
_CAMPAIGNS = """
    SELECT campaign_id, replace(campaign_type, ' ', ''), starts, ends, count(*)
    FROM begun JOIN campaigns USING (campaign_id) GROUP BY ALL ORDER BY campaign_id"""
_REACHED = """
    SELECT campaign_id, starts, household_id, card_number
    FROM campaigns JOIN begun USING (campaign_id) JOIN cards USING (household_id) SEMI JOIN sold USING (household_id)
    ORDER BY campaign_id, household_id"""
_COUPONS = """
    SELECT coupon_upc, campaign_id, product_id, starts, ends, any_value(products.product_id) IS NOT NULL AS is_known
    FROM coupons JOIN begun USING (campaign_id) SEMI JOIN sold USING (product_id) LEFT JOIN products USING (product_id)
    GROUP BY ALL ORDER BY ALL"""
# The data tell who used which coupon on which day. Where there was one purchase on that day, in a branch of the selection, it was
# that one; and where there was one coupon too, what the purchase says of coupons is what this coupon took off.
_REDEMPTIONS = """
    WITH days AS (
        SELECT household_id, CAST(transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS DATE) AS day,
               min(basket_id) AS basket_id, min(store_id) AS store_id, sum(cents(coupon_disc)) AS taken_off
        FROM transactions GROUP BY ALL HAVING count(DISTINCT basket_id) = 1
    ), used AS (
        SELECT coupon_upc, campaign_id, CAST(redemption_date AS DATE) AS day, household_id,
               count(*) OVER (PARTITION BY household_id, redemption_date) AS coupons
        FROM coupon_redemptions
    )
    SELECT coupon_upc, campaign_id, used.day, household_id, card_number, branch_id,
           CASE WHEN branch_id IS NOT NULL THEN basket_id END,
           CASE WHEN branch_id IS NOT NULL AND coupons = 1 AND taken_off > 0 THEN taken_off END
    FROM used JOIN cards USING (household_id) LEFT JOIN days USING (household_id, day) LEFT JOIN branches USING (store_id)
    WHERE household_id IN (SELECT household_id FROM sold) AND used.day <= (SELECT max(local_at) FROM receipts)
    ORDER BY ALL"""


def write_campaigns(con: duckdb.DuckDBPyConnection, landing: Path, known: Directory, people: Mapping[int, Person]) -> Told:
    """Write the four exports; returns what each of their records must become, and what must be listed."""
    con.execute(_BEGUN)
    expected: list[Expected] = []
    faults: list[Fault] = []
    for write in (_campaigns, _reached, _coupons, _redemptions):
        records, found = write(con, landing / "campaigns", known, people)
        expected += records
        faults += found
    return expected, faults


def _campaigns(con: duckdb.DuckDBPyConnection, folder: Path, _: Directory, __: Mapping[int, Person]) -> Told:
    rows, expected = [], []
    for number, kind, starts, ends, letters in con.execute(_CAMPAIGNS).fetchall():
        cost = money(COST_OF_LETTER * letters)
        rows.append((f"C{number}", f"Aktion {number}", kind, "post", starts, ends, cost))
        expected.append(
            Expected("campaign", "campaigns_csv", f"C{number}", begins=str(starts), ends=str(ends), state=kind, amount=cost)
        )
    write_rows(folder / f"campaigns_{EXPORTED}.csv", "campaign,name,type,channel,start,end,cost", rows)
    return expected, []


def _reached(con: duckdb.DuckDBPyConnection, folder: Path, known: Directory, people: Mapping[int, Person]) -> Told:
    rows, expected, faults = [], [], []
    source = "campaign_contacts_csv"
    for number, starts, household, card in con.execute(_REACHED).fetchall():
        at, key = f"{starts}T08:00:00Z", f"C{number}/{card}"
        rows.append((f"C{number}", "send", at, "post", "T", "", card, ""))
        person = people[household].person_id
        expected.append(Expected("campaign_contact", source, key, card, begins=at, state="sent", person_id=person))
        if card not in known.cards:
            faults.append(Fault("reference_unknown", source, key))
    write_rows(folder / f"contacts_{EXPORTED}.csv", "campaign,event,time,channel,group,answer,card_no,email", rows)
    return expected, faults


def _coupons(con: duckdb.DuckDBPyConnection, folder: Path, _: Directory, __: Mapping[int, Person]) -> Told:
    rows, expected, faults = [], [], []
    for coupon, number, product, starts, ends, is_known in con.execute(_COUPONS).fetchall():
        key = f"{coupon}/C{number}/{product}"
        rows.append((coupon, f"C{number}", product, "", starts, ends))
        expected.append(
            Expected("coupon", "coupons_csv", key, product_ref=str(product), begins=str(starts), ends=str(ends))
        )  # fmt: skip
        if not is_known:
            faults.append(Fault("reference_unknown", "coupons_csv", key))
    write_rows(folder / f"coupons_{EXPORTED}.csv", "coupon,campaign,article,discount,start,end", rows)
    return expected, faults


def _redemptions(con: duckdb.DuckDBPyConnection, folder: Path, known: Directory, people: Mapping[int, Person]) -> Told:
    rows, expected, faults = [], [], []
    source = "coupon_redemptions_csv"
    for coupon, number, day, household, card, branch, basket, taken_off in con.execute(_REDEMPTIONS).fetchall():
        key = f"{coupon}/C{number}/{day}/{card}"
        discount = money(taken_off) if taken_off else ""
        rows.append((coupon, f"C{number}", day, branch or "", basket or "", discount, card))
        expected.append(
            Expected(
                "coupon_redemption",
                source,
                key,
                card,
                branch or "",
                receipt_number=str(basket or ""),
                begins=str(day),
                amount=discount,
                person_id=people[household].person_id,
            )
        )
        if card not in known.cards:
            faults.append(Fault("reference_unknown", source, key))
    write_rows(folder / f"redemptions_{EXPORTED}.csv", "coupon,campaign,day,branch,receipt,discount,card_no", rows)
    return expected, faults
