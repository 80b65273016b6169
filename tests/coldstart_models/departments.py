"""A shop of two departments that launch things all the time, of which one is ranked."""

from dataclasses import replace
from typing import Final

import numpy as np

from coldstart_models.data.splits import target_items
from coldstart_models.ranker import TrainingSet
from tests.coldstart_models.checkerboard import titled, training_of

LAUNCHES: Final = 600
USERS: Final = 80


def two_departments(*, home: int) -> TrainingSet:
    """Things launched one by one, each chosen by every other person: `home` of them here and there
    among clothes, which find their customers twice as fast. Both are of five kinds, and half of the
    choices are made late."""
    ids = [f"{number:03}" for number in range(LAUNCHES)]
    at_home = set(np.linspace(0, LAUNCHES - 1, home).astype(int).tolist())
    domains = ["home" if number in at_home else "clothing" for number in range(LAUNCHES)]
    titles = {one: f"thing of {int(one) % 7} parts" for one in ids}
    kinds = [f"kind {number % 5}" for number in range(LAUNCHES)]
    catalogue = titled(titles, domain=domains, category=kinds)
    rows = []
    for number in range(LAUNCHES):
        pace = 1 if number in at_home else 2
        for user in range(number % 2, USERS, 2):
            start = LAUNCHES if (user + number) % 4 else number
            rows.append((f"u{user:02}", ids[number], start + user / 100 / pace))
    return replace(training_of(rows, catalogue), target=target_items(catalogue))
