"""What a history's events could tell, by weight: ``make bench-event_weights ARGS='--data DIR'``.

How much an event of a history counts is a softmax over what is known of it (recency, type, pieces,
price level, repeats). Its weights start at zero, where all events count alike; training moves them
where past launches agree on it. Here one at a time is moved to either side on a trained model.
Its past cold starts, which it was trained and judged on, are ranked again, and the new items. What
the past prefers and new items do not is what a choice on the past would lose by.

An event of weight w and trait x counts exp(w x) times as much: at −.7 a click counts half a
purchase; at a recency of .4 an event a month older counts a quarter.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks import cut_rows
from benchmarks.grid import Cut, open_cut
from coldstart_models.commands import console
from coldstart_models.data.pools import cold_pool
from coldstart_models.metrics import bootstrap_intervals, ndcg_of_each
from coldstart_models.siamese.event_weights import STEPS, moved, told_steps
from coldstart_models.siamese.network import MetaSiamese, score_task
from coldstart_models.siamese.preparing import PastItems, PreparedEpisode, prepare_each
from coldstart_models.siamese.problems import past_episodes
from coldstart_models.siamese.ranker import prepared_task
from coldstart_models.siamese.stages import SiameseModel, pretrain

CUTS: Final = ("retail-06-01", "retail-07-15", "amazon-2018", "amazon-2023", "marketplace")
"""Those of usual size whose events carry more than an item."""
Values = npt.NDArray[np.float64]
Problem = tuple[PreparedEpisode, npt.NDArray[np.bool_]]
"""What is ranked, and who chose what of it."""


def main() -> None:
    """Measure every cut that is there, print and write the table."""
    options = cut_rows.parser_of("event_weights", __doc__, usual=CUTS).parse_args()
    cut_rows.run(
        "event_weights",
        options,
        lambda cut: measured(cut, options.data, stores=options.stores),
        title="NDCG@10 gained by a weight of events",
        page=by_cut,
    )


def measured(cut: Cut, data: Path, *, stores: Path) -> list[dict[str, Any]]:
    """The rows of one cut's first seed."""
    opened = open_cut(cut, data=data, stores=stores)
    split = opened.split_of(0)
    training, pool = split.training_set(opened.catalogue), cold_pool(split)
    past = past_episodes(training, seed=0, by_time=not split.seeded)
    model = pretrain(training, dates=False, seed=0, by_time=not split.seeded, past=past)
    episodes = prepare_each(
        [*past.learning, *past.validation], training, model.inputs, past.seen, seed=0
    )
    known = PastItems.of(training.interactions, model.inputs, model.fitted)
    new = prepared_task(training, known, pool.task), pool.chosen.toarray()
    console.say(f"{cut.name}: trained")
    return rows_of(cut.name, model, [(one, one.episode.chosen) for one in episodes], new)


def rows_of(
    cut: str, model: SiameseModel, past: Sequence[Problem], new: Problem
) -> list[dict[str, Any]]:
    """A row for every weight of what the histories of the new items' users tell."""
    network = model.network
    past_before, before = (_ndcg(network, problems) for problems in (past, [new]))
    rows: list[dict[str, Any]] = []
    for name, step in told_steps(new[0]):
        with moved(network.scorer, name, step):
            past_after, after = (_ndcg(network, problems) for problems in (past, [new]))
        interval = bootstrap_intervals((after - before)[None, :, None], seed=0)[0] / before.mean()
        rows.append(
            {
                "cut": cut,
                "an event's": name,
                "weight": f"{step:+.2f}",
                "past cold starts": _percent(past_after.mean() / past_before.mean() - 1),
                "new items": _percent(after.mean() / before.mean() - 1),
                "95 %": " to ".join(f"{bound * 100:+.1f}" for bound in interval),
            }
        )
    return rows


def by_cut(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each weight and a column for each cut: past cold starts / new items (95 %)."""
    cuts = dict.fromkeys(row["cut"] for row in rows)
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        of_cut = told.setdefault((row["an event's"], row["weight"]), dict.fromkeys(cuts, "–"))
        of_cut[row["cut"]] = f"{row['past cold starts']} / {row['new items']} ({row['95 %']})"
    places = list(STEPS)
    ordered = sorted(told.items(), key=lambda one: places.index(one[0][0]))
    return [{"an event's": name, "weight": weight, **row} for (name, weight), row in ordered]


def _ndcg(network: MetaSiamese, problems: Sequence[Problem]) -> Values:
    """(U,) of all the problems' people."""
    found = [ndcg_of_each(score_task(network, one), chosen) for one, chosen in problems]
    return np.concatenate(found)


def _percent(share: float) -> str:
    return f"{share * 100:+.1f} %"


if __name__ == "__main__":
    main()
