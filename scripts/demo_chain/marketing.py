"""The real campaigns of the data: whom they reached, their coupons, and which of them were used."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.parties import write_rows

EXPORTED = "20180102T0600"
# Of what belongs to a selection: campaigns that had begun, members who bought, articles that were sold.
_BEGUN = "campaign_descriptions WHERE start_date <= (SELECT max(local_at) FROM receipts)"
EXPORTS = {
    "campaigns": (
        "campaign,name,type,channel,start,end,cost",
        f"""SELECT 'C' || campaign_id, 'Aktion ' || campaign_id, replace(campaign_type, ' ', ''), 'post',
                   CAST(start_date AS DATE), CAST(end_date AS DATE), money(cost)
            FROM (SELECT * FROM {_BEGUN}) JOIN (
                SELECT campaign_id, 45 * count(*) AS cost FROM campaigns GROUP BY campaign_id
            ) USING (campaign_id) ORDER BY campaign_id""",
    ),
    "contacts": (
        "campaign,event,time,channel,group,answer,card_no,email",
        f"""SELECT 'C' || campaign_id, 'send', strftime(start_date, '%Y-%m-%dT08:00:00Z'), 'post', 'T', '', card_number, ''
            FROM campaigns JOIN (SELECT * FROM {_BEGUN}) USING (campaign_id) JOIN cards USING (household_id)
            SEMI JOIN lines USING (household_id) ORDER BY campaign_id, household_id""",
    ),
    "coupons": (
        "coupon,campaign,article,discount,start,end",
        f"""SELECT DISTINCT coupon_upc, 'C' || campaign_id, product_id, '', CAST(start_date AS DATE), CAST(end_date AS DATE)
            FROM coupons JOIN (SELECT * FROM {_BEGUN}) USING (campaign_id) SEMI JOIN lines USING (product_id) ORDER BY ALL""",
    ),
    "redemptions": (
        "coupon,campaign,day,branch,receipt,discount,card_no",
        """SELECT coupon_upc, 'C' || campaign_id, CAST(redemption_date AS DATE), '', '', '', card_number
           FROM coupon_redemptions JOIN cards USING (household_id) SEMI JOIN lines USING (household_id)
           WHERE redemption_date <= (SELECT max(local_at) FROM receipts) ORDER BY ALL""",
    ),
}  # fmt: skip


def write_campaigns(con: duckdb.DuckDBPyConnection, landing: Path) -> dict[str, int]:
    """Write the four exports; returns how many records each of them holds."""
    counted = {}
    for name, (columns, query) in EXPORTS.items():
        rows = con.execute(query).fetchall()
        write_rows(landing / "campaigns" / f"{name}_{EXPORTED}.csv", columns, rows)
        counted[name] = len(rows)
    return counted
