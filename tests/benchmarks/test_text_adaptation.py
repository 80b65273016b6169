"""The benchmark of text encoders that adapt: who sees what, and what is measured of whom."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import text_adaptation
from benchmarks.adaptation import row_of
from benchmarks.text_adaptation import METRICS, VARIANTS, as_cell, measured, with_lora
from coldstart_models.domain.aims import Aims
from coldstart_models.domain.setting import Setting
from tests.benchmarks.test_adaptation import load
from tests.benchmarks.test_adaptation import shop as shop

LABELS = Setting(base="words", aims=Aims(objectives=("labels",)), width=12, validate=0.3)
TITLES = replace(LABELS, base="tiny", text="words", aims=Aims(objectives=("titles",)))
HELD, USERS = 40, 40
"""A fifth of the shop's 200 items, and all of its users."""
AS_SERVED = (0.7, 0.3907, 0.6173)
"""Means of METRICS by the encoder that nobody adapted."""


def test_categories_are_seen_by_what_is_called_so_alone():
    for name, setting in VARIANTS.items():
        assert ("labels" in setting.aims.objectives) == ("labels" in name)
        assert setting.aims.needs_text == ("labels" not in name)


def test_low_rank_changes_are_of_the_text_encoder_and_of_what_descends_a_loss():
    ranks = {}
    for name, setting in VARIANTS.items():
        found = with_lora(setting, 8, 3)
        assert found.seed == 3
        ranks[name] = (found.freedom.rank, found.text_freedom.rank)
    assert ranks == {
        "labels": (8, 0),
        "labels, cross-entropy": (8, 0),
        "titles": (0, 0),
        "pairs, clip": (0, 8),
    }


@pytest.mark.parametrize(
    ("setting", "better", "start", "after"),
    [
        (LABELS, False, (0.65, 0.3460, 0.6091), AS_SERVED),
        (TITLES, True, (1.0, 0.8847, 0.6364), (0.85, 0.6519, 0.6642)),
    ],
    ids=["labels", "titles"],
)
def test_cold_items_and_their_users_alone_are_measured_before_and_after(
    shop, tmp_path, setting, better, start, after
):
    result = measured(shop, setting, out=tmp_path / "out", maps=tmp_path / "maps", load=load)
    cell = as_cell(json.loads(json.dumps(result)), shop)
    assert cell.better == better
    for side, expected in ((cell.whole, AS_SERVED), (cell.cut, start), (cell.after, after)):
        cold = ~np.isnan(side.items[:, :2])
        assert cold.sum(axis=0).tolist() == [HELD, HELD]
        assert np.isnan(side.items[:, 2]).all()
        assert side.users.shape == (USERS, 1)
        assert means(side) == pytest.approx(
            expected, abs=1 / HELD
        )  # an item where rounding differs
    row = row_of("tiny", "labels", [cell], metrics=METRICS)
    assert (row["data"], row["variant"], row["seeds"], row["kept"]) == ("tiny", "labels", 1, better)
    for name, before, now in zip(METRICS, means(cell.whole), means(cell.after), strict=True):
        assert row[name].startswith(f"{before:.4f} → {now:.4f}, {now / before - 1:+.1%} (")
    if not better:
        assert np.array_equal(cell.after.items, cell.whole.items, equal_nan=True)
        assert np.array_equal(cell.after.users, cell.whole.users)


def means(side):
    """Of METRICS, over items and users; a user that was not measured would make it NaN."""
    return [*np.nanmean(side.items[:, :2], axis=0), side.users.mean()]


def test_a_shop_without_photos_learns_no_pairs():
    assert {"amazon-2018", "amazon-2023"} == set(text_adaptation.DATA) - set(
        text_adaptation.PHOTOGRAPHED
    )
