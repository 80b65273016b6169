"""Factors of what goes together: people's choices, and what content leads to expect."""

import numpy as np

from coldstart_models.data.interactions import Interactions
from coldstart_models.data.shop_clock import ShopClock
from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.inputs import TEXT, ItemInputs
from coldstart_models.siamese.togetherness import fit_togetherness


def two_crowds(*, loyal: int) -> tuple[Interactions, ItemInputs]:
    """40 items in two kinds that read alike within, and 60 people who each choose within one.

    The last item is of the first kind, and `loyal` people of the second chose it.
    """
    generator = np.random.default_rng(0)
    kind = np.arange(40) % 2
    kind[-1] = 0
    text = np.eye(2, 8, dtype=np.float32)[kind] + 0.05 * generator.normal(size=(40, 8))
    pairs = [
        (user, item)
        for user in range(60)
        for item in generator.choice(np.flatnonzero(kind[:-1] == user % 2), 8, replace=False)
    ]
    pairs += [(2 * person + 1, 39) for person in range(loyal)]
    users, items = (np.array(each) for each in zip(*pairs, strict=True))
    people = np.array([f"u{number:02}" for number in range(60)], object)
    traits = np.zeros((len(users), len(TRAITS)), np.float32)
    moments = np.arange(len(users))
    log = Interactions(people, 40, users, items, moments, traits, ShopClock.of(moments))
    return log, ItemInputs({TEXT: text.astype(np.float32)}, {TEXT: np.ones(40, bool)})


def test_an_item_of_few_people_stands_between_them_and_what_reads_like_it():
    def nearness(loyal: int) -> float:  # to what the people chose, over what reads alike
        log, inputs = two_crowds(loyal=loyal)
        factors = fit_togetherness(log, inputs, seed=0).factors
        np.testing.assert_allclose(np.linalg.norm(factors, axis=1), 1.0, atol=1e-5)
        alike, loved = factors[:38:2].mean(axis=0), factors[1:39:2].mean(axis=0)
        return float(factors[39] @ (loved - alike))

    assert nearness(1) < nearness(2) < 0 < nearness(10) < nearness(25)
