"""The secret of tokens is changed: every token is another one, every customer is who he was."""

from __future__ import annotations

import pytest

from tests.conftest import Chain
from tillhouse.errors import ConfigError
from tillhouse.ops import rotate
from tillhouse.tables import gold, silver, vault

FIGURES = ("receipt_number", "branch_id", "customer_id", "customer_status", "revenue_amount")


def known(chain: Chain) -> dict[str, tuple[str, str]]:
    """Customer and run that gave it, by card."""
    customers = chain.store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL")
    rows = chain.store.read(vault.PARTY).join(customers, on="party_key", how="inner").collect()
    return {row["card_number"]: (row["customer_id"], row["valid_from_run"]) for row in rows}


@pytest.mark.long
def test_customers_keep_their_ids_under_another_secret(readme_copy: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, store = readme_copy, readme_copy.store
    before, receipts = known(chain), {tuple(row) for row in store.read(gold.FCT_RECEIPT).select(*FIGURES).collect()}
    keys = {row[0] for row in store.read(silver.PARTY).select("party_key").collect()}
    assert before
    decided = (
        "d1", "together", [min(keys)], ["of nobody"], None, None, "a test", "steward", chain.run()[0].started_at, None, None,
    )  # fmt: skip
    store.append(silver.IDENTITY_DECISION, store.spark.createDataFrame([decided], silver.IDENTITY_DECISION.struct))
    with pytest.raises(ConfigError, match=r"the token key is that of the lake"):
        rotate.rotate(store, chain.config)

    monkeypatch.setenv("TILLHOUSE_TOKEN_KEY", "another secret of tokens, long enough")
    with pytest.raises(ConfigError, match=r"not the one that the lake was made with.* `tillhouse rotate-key` first"):
        chain.run()
    assert known(chain) == before
    assert rotate.rotate(store, chain.config) == len(keys)
    assert rotate.rotate(store, chain.config) == len(keys), "killed after it, it is run again"
    chain.run()
    assert known(chain) == before
    assert {tuple(row) for row in store.read(gold.FCT_RECEIPT).select(*FIGURES).collect()} == receipts
    new = {row[0] for row in store.read(silver.PARTY).select("party_key").collect()}
    assert not new & keys
    assert store.read(silver.IDENTITY_DECISION).collect()[0]["left_keys"][0] in new
    assert rotate.pending(store) is None
    chain.run()  # looks at the decision again, which has other keys now
    assert [result.status for result in chain.run()] == ["unchanged"] * 6
