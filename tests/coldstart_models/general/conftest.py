"""A general model of two small shops."""

from datetime import UTC, datetime

import pytest

from coldstart_models.general.artifact import GeneralModel
from coldstart_models.general.contrast import GeneralSchedule
from coldstart_models.general.pretraining_job import pretrain_shops
from tests.coldstart_models.general.shops import shop

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SHORT = GeneralSchedule(steps=40, check_every=20, users=32, candidates=64, rate=1e-2)


@pytest.fixture(scope="session")
def general_model() -> GeneralModel:
    shops = [shop(name, seed=seed) for seed, name in enumerate(("a", "b"))]
    return pretrain_shops(shops, now=NOW, seed=0, schedule=SHORT)
