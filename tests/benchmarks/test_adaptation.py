"""The benchmark of adaptation: who sees what, and what a row says."""

import numpy as np

from benchmarks.adaptation import METRICS, VARIANTS, Found, _row
from coldstart_models.domain.aims import LABELS, PAIRS


def test_only_what_is_called_so_sees_categories_or_titles_of_the_home():
    for name, setting in VARIANTS.items():
        assert (LABELS in setting.aims.objectives) == ("labels" in name)
        assert (PAIRS in setting.aims.objectives) == ("pairs" in name)
        assert (setting.text is not None) == ("pairs" in name or name == "titles")


def found(precision: float, ndcg: float) -> Found:
    items = np.full((40, 3), np.nan)
    items[:20] = (1.0, precision, 0.5)
    users = np.full((30, 1), np.nan)
    users[:10] = ndcg
    return Found(items, users)


def test_a_row_tells_means_gains_and_intervals_of_the_held_out_alone():
    cells = [(found(0.4, 0.1), found(0.5, 0.1), True), (found(0.4, 0.1), found(0.4, 0.1), False)]
    row = _row("shop", "labels", cells)
    assert list(row) == ["data", "variant", "seeds", "better", *METRICS]
    assert (row["seeds"], row["better"]) == (2, 1)
    assert row["precision@10"] == "0.4000 → 0.4500, +12.5% (+12.5% to +12.5%)"
    assert row["ndcg@10"].startswith("0.1000 → 0.1000, +0.0%")


def test_a_metric_that_was_not_measured_is_a_dash():
    cells = [(found(0.4, np.nan), found(0.5, np.nan), True)]
    assert _row("shop", "labels", cells)["ndcg@10"] == "–"
