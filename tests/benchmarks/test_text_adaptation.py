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


@pytest.mark.parametrize("setting", [LABELS, TITLES], ids=["labels", "titles"])
def test_cold_items_and_their_users_alone_are_measured_before_and_after(shop, setting, tmp_path):
    result = measured(shop, setting, out=tmp_path / "out", maps=tmp_path / "maps", load=load)
    cell = as_cell(json.loads(json.dumps(result)), shop)
    for side in (cell.whole, cell.cut, cell.after):
        cold = ~np.isnan(side.items[:, 1])
        assert cold.sum() == 40  # a fifth of the items
        assert np.isnan(side.items[:, 2]).all()
        assert 0 < (~np.isnan(side.users)).sum() <= 40
    row = row_of("tiny", "labels", [cell], metrics=METRICS)
    assert list(row) == ["data", "variant", "seeds", "kept", *METRICS]
    if not cell.better:
        assert np.array_equal(cell.after.items, cell.whole.items, equal_nan=True)


def test_a_shop_without_photos_learns_no_pairs():
    assert {"amazon-2018", "amazon-2023"} == set(text_adaptation.DATA) - set(
        text_adaptation.PHOTOGRAPHED
    )
