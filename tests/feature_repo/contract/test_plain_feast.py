"""Plain Feast in every environment that a shell can choose by one variable."""

import pytest

from feature_repo.home import REPOSITORY
from tests.feature_repo.samples import NOW
from tests.feature_repo.test_plain_feast import feast

FEATURES = ["item_stats:click_count"]


@pytest.mark.slow
def test_plain_feast_applies_and_materializes_what_the_store_reads(store):
    from tests.feature_repo.contract.test_contract import stats

    store.replace("item_stats", stats(("plain", "2024-01-01", 7)), now=NOW)
    store.apply()  # PostgreSQL's offline tables are loaded by us
    materialize = "materialize 2023-01-01T00:00:00 2025-01-01T00:00:00 --views item_stats"
    feast("apply", materialize, repository=REPOSITORY, home=store.home.root)
    (row,) = store.online(FEATURES, [{"item_id": "plain"}])
    assert row["item_stats__click_count"] == 7
