"""The pieces of SQL that histories, items and categories share say what their names say."""

from typing import Any

import duckdb
import pytest

from feature_repo.feature_tables import PRIOR_SUCCESSES, PRIOR_TRIALS
from feature_repo.jobs import history, item_behaviour
from feature_repo.jobs.event_counts import counted, rates, running
from tests.feature_repo.samples import NOW
from validation import tables

KINDS = (tables.IMPRESSION, tables.CLICK, tables.PURCHASE)


def test_kinds_are_counted_summed_up_over_days_and_become_smoothed_rates() -> None:
    rows = duckdb.sql(
        f"""
        WITH events(day, event_type) AS (VALUES
            (1, 'impression'), (1, 'impression'), (1, 'click'), (2, 'click'), (2, 'purchase'),
            (3, 'click'), (3, 'looked')),
        days AS (SELECT day, {counted(KINDS)} FROM events GROUP BY day),
        running AS (SELECT day, {running(KINDS)} FROM days WINDOW so_far AS (ORDER BY day))
        SELECT impression_count, click_count, purchase_count, {rates(ctr="seen", cvr="bought")}
        FROM running ORDER BY day
        """
    ).fetchall()
    assert [row[:3] for row in rows] == [(2, 1, 0), (2, 2, 1), (2, 3, 1)]

    def rate(successes: int, trials: int) -> Any:
        return pytest.approx((successes + PRIOR_SUCCESSES) / (trials + PRIOR_TRIALS))

    # The third day's clicks outnumber the impressions: each had one.
    assert [row[3:] for row in rows] == [
        (rate(1, 2), rate(0, 1)),
        (rate(2, 2), rate(1, 2)),
        (rate(3, 3), rate(1, 3)),
    ]


def test_every_table_counts_and_rates_by_the_same_sql() -> None:
    every, shown = tables.EVENT_TYPES, item_behaviour.COUNTED
    categories = item_behaviour.category_stats_sql(known_by=NOW)
    for sql, kinds in (
        (history.HISTORY_SQL, every),
        (item_behaviour.STATS_SQL, every),
        (categories, shown),
    ):
        assert counted(kinds) in sql
        assert running(kinds) in sql
    assert rates(ctr="ctr", cvr="cvr") in item_behaviour.STATS_SQL
    assert rates(ctr="prior_ctr", cvr="prior_cvr") in categories
