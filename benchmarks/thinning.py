"""A share of a log, as if the shop were that much smaller: for measuring what transfer gives."""

from dataclasses import replace

import numpy as np

from coldstart_models.data.splits import Split
from coldstart_models.errors import ConfigError


def thinned(split: Split, share: float, *, seed: int) -> Split:
    """The split with a share of its training events, drawn one by one; the truth stays.

    What is warm or cold and what users chose later do not change; histories are those of the
    thinner log. With one seed, a smaller share's events are among a larger one's.

    Raises ConfigError where the share is not in (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise ConfigError(f"a share of the events is above 0 and at most 1, not {share}")
    drawn = np.random.default_rng([seed, 17]).random(len(split.training))
    return replace(
        split,
        name=f"{split.name}, {share:.0%} of its events",
        training=split.training.where(drawn < share),
    )
