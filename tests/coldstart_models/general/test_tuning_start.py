"""`coldstart tune` searches where training will start: from what other shops taught."""

from coldstart_models import tuning
from coldstart_models.tuning import Learning, ranked, tune
from tests.coldstart_models.general.shops import split_of, stored_shop


def target():
    stored = stored_shop("target", seed=7)
    return split_of(stored).training_set(stored.catalogue)


def test_a_trial_starts_from_what_other_shops_taught(general_model):
    validation = tuning.validation_task(target(), by_time=False, seed=0)
    assert not validation.launches
    alone, started = (
        ranked(Learning(), validation, seed=0, dates=False, general=general)
        for general in (None, general_model)
    )
    assert started > alone


def test_trials_that_started_elsewhere_are_not_counted(general_model, monkeypatch, tmp_path):
    starts = []

    def known(learning, validation, *, seed, dates, general):
        starts.append(general)
        return 0.5

    monkeypatch.setattr(tuning, "ranked", known)
    for general in (None, general_model, general_model):
        tune(target(), tmp_path / "study.log", trials=2, seeds=1, general=general)
    assert starts == [None, None, general_model, general_model]
