"""Who sees which variant: the same everywhere, evenly, and anew for another salt."""

import numpy as np
import pytest
from scipy import stats

from coldstart_models.config import load_config
from coldstart_models.errors import ConfigError
from coldstart_models.experiments.bucketing import Experiment, Variant, fraction

TWO = (Variant("control"), Variant("new"))
WRITTEN = ["control", "new", "control", "control", "new"]
FRACTION = 0.7235546799817965
UNITS = [f"user-{number}" for number in range(20_000)]


def names(experiment, units=UNITS):
    chosen = [experiment.variant_of(unit) for unit in units]
    return np.array([variant.name if variant else "" for variant in chosen])


def test_a_unit_gets_the_same_variant_in_every_process_and_release():
    """Written down: a change of the hash would move people between variants in mid-test."""
    experiment = Experiment("x", TWO, salt="x")
    assert names(experiment, ["ann", "bob", "cid", "dee", "eve"]).tolist() == WRITTEN
    assert fraction("ann", "x") == pytest.approx(FRACTION, abs=1e-12)


def test_variants_get_their_shares():
    weights = (Variant("a", weight=1), Variant("b", weight=2), Variant("c", weight=5))
    experiment = Experiment("x", weights, salt="s")
    counts = [(names(experiment) == name).sum() for name in "abc"]
    expected = [len(UNITS) * share for share in experiment.shares.values()]
    assert stats.chisquare(counts, expected).pvalue > 0.001
    assert experiment.shares == {"a": 0.125, "b": 0.25, "c": 0.625}


def test_another_salt_deals_anew_and_independently():
    first, second = (names(Experiment("x", TWO, salt=salt)) for salt in ("one", "two"))
    table = [
        [((first == a) & (second == b)).sum() for b in ("control", "new")]
        for a in ("control", "new")
    ]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_taking_in_more_people_moves_nobody():
    few, all_of_them = (names(Experiment("x", TWO, salt="s", share=share)) for share in (0.2, 1.0))
    inside = few != ""
    assert inside.mean() == pytest.approx(0.2, abs=0.01)
    assert (few[inside] == all_of_them[inside]).all()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "x"\nvariants = [{name = "a"}]', "at least two"),
        ('name = "x"\nvariants = [{name = "a"}, {name = "a"}]', "of different names"),
        ('variants = [{name = "a"}, {name = "b"}]', "has variants and no name"),
        ('name = "x"\nshare = 0.0', "experiment.share is 0.0"),
        ('name = "x"\nvariants = [{name = "a", weight = 0}]', "weight is 0"),
        ('name = "x"\nvariants = [{name = "a", policy = "ucb"}]', "policy is 'ucb'"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_refused_with_the_reason(tmp_path, text, told):
    path = tmp_path / "coldstart.toml"
    path.write_text(f"[experiment]\n{text}\n")
    with pytest.raises(ConfigError, match=told):
        load_config(path).experiment.experiment()


def test_the_salt_is_the_name_unless_it_is_said_and_nothing_said_is_no_experiment(tmp_path):
    path = tmp_path / "coldstart.toml"
    path.write_text('[experiment]\nname = "x"\nvariants = [{name = "a"}, {name = "b"}]\n')
    assert load_config(path).experiment.experiment().salt == "x"
    path.write_text("")
    assert load_config(path).experiment.experiment() is None
