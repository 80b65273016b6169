"""Weights that shops agree on: which are found, and what is told of one that is left out."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.grid import GRID
from benchmarks.starting_weights import (
    BEFORE,
    SHOPS,
    PastColdStarts,
    agreed_weights,
    row_of,
)
from coldstart_models.siamese.scorer import AVERAGE, INITIAL_WEIGHT, NEAREST
from coldstart_models.siamese.weighing import Choices

TERMS = (("text", NEAREST), ("spelling", AVERAGE))
PEOPLE, LISTINGS = 60, 30


def cold_starts(*, told_by: int, seed: int) -> PastColdStarts:
    """People who choose by one of TERMS; the other one and the prior are noise."""
    generator = np.random.default_rng(seed)
    terms = generator.standard_normal((PEOPLE, LISTINGS, len(TERMS) + 1)).astype(np.float32)
    chosen = terms[:, :, told_by] >= np.sort(terms[:, :, told_by], axis=1)[:, -2, None]
    episode = Choices(terms, chosen, np.zeros(LISTINGS, np.float32))
    return PastColdStarts(TERMS, [episode], prior=0.05)


def test_agreed_weights_go_to_the_term_that_tells_choices() -> None:
    cuts = {"one": [cold_starts(told_by=1, seed=1)], "two": [cold_starts(told_by=1, seed=2)]}

    agreed = agreed_weights(cuts)

    assert agreed["spelling"][0] > 2 * BEFORE["spelling"][0]
    assert agreed["text"][1] < BEFORE["text"][1] / 2
    for found in cuts.values():
        assert found[0].ndcg(agreed) > found[0].ndcg(BEFORE) + 0.1


def test_weights_of_terms_that_no_shop_has_stay_as_they_were() -> None:
    agreed = agreed_weights({"one": [cold_starts(told_by=1, seed=1)]})

    assert agreed["photo"] == BEFORE["photo"]
    assert agreed["together"] == BEFORE["together"]


def test_ndcg_is_one_where_the_weighed_term_is_the_choice_itself() -> None:
    found = cold_starts(told_by=0, seed=3)
    alone = {"text": (0.0, 1.0), "spelling": (0.0, 0.0)}

    assert replace(found, prior=0.0).ndcg(alone) == pytest.approx(1.0)


def test_a_row_holds_every_start_against_the_one_of_before() -> None:
    seeds = [cold_starts(told_by=1, seed=seed) for seed in (1, 2)]
    agreed = agreed_weights({"cut": seeds})

    row = row_of("shop", "cut", seeds, agreed, agreed)

    assert row["seeds"] == row["episodes"] == 2
    before, after = (
        float(np.mean([one.ndcg(start) for one in seeds])) for start in (BEFORE, agreed)
    )
    assert row["before"] == round(before, 4)
    assert row["all agree"] == row["other shops agree"] == f"{(after / before - 1) * 100:+.1f} %"
    stated = float(np.mean([one.ndcg(INITIAL_WEIGHT) for one in seeds]))
    assert row["stated"] == f"{(stated / before - 1) * 100:+.1f} %"


def test_a_shop_without_others_has_no_start_that_they_agree_on() -> None:
    seeds = [cold_starts(told_by=1, seed=1)]

    row = row_of("shop", "cut", seeds, None, agreed_weights({"cut": seeds}))

    assert row["other shops agree"] == "–"
    assert row["all agree"] != "–"


def test_what_new_items_of_a_reserved_cut_tell_is_not_read() -> None:
    reserved = {cut.name for cut in GRID if cut.reserved}

    assert reserved
    assert not reserved & {name for names in SHOPS.values() for name in names}
