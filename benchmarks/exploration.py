"""Off-policy estimates against the marketplace's truth, and what exploring costs a request.

``make bench-exploration``. A scorer is trained on a generated marketplace and ranks its new
listings for everyone who has a history; one slot of a page of ten is explored. One policy logs
pages, clicks are drawn by the marketplace's choice model, and IPS, SNIPS and DR say from the log
what another policy would have earned. The truth is computed from the choice model, without a log.
Counted is how often the 95 % interval holds it, and how often the log was enough for sharp ones.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks import ranking, results
from benchmarks.exploration_truth import MANY_DRAWS, Pages, replicate, true_value
from coldstart_models.exploration.budget import ListingBudget
from coldstart_models.exploration.exploring import SHORTLIST, Explorer
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.policy import Floats, Greedy, Policy
from coldstart_models.exploration.thompson import Thompson
from coldstart_models.online_histories import histories_of, read_rows
from coldstart_models.recommending import Recommender
from coldstart_models.user_history import UserHistory
from feature_repo.catalogs.marketplace.choices import outside_option
from feature_repo.catalogs.marketplace.generation import UTILITY
from feature_repo.home import Home
from feature_repo.store import Store
from validation import tables

PAGE: Final = 10
PAIRS: Final[tuple[tuple[Policy, Policy], ...]] = (
    (Thompson(floor=0.2), LinUCB(floor=0.1)),
    (Thompson(floor=0.2), Greedy(floor=0.1)),
    (LinUCB(floor=0.5), Thompson(floor=0.2)),
    (LinUCB(floor=0.5), Greedy(floor=0.1)),  # little in common: a log that is too small
    (LinUCB(floor=0.2), Greedy(floor=0.1)),  # a log that lacks what the new policy shows
)
WARM_UP: Final = 10
UNLIMITED: Final = 1_000_000_000


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.exploration", description=__doc__)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--visits", type=int, default=4)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = Home(Path(folder))
        recommender, _, _ = ranking.trained(home)
        histories = _histories(home)
        pages = population(recommender, histories, home=home)
        costs = _costs(recommender, next(iter(histories.values())), calls=options.calls)
    rows = [
        row
        for logged, new in PAIRS
        for row in _covered(
            logged,
            new,
            pages,
            replications=options.replications,
            people=options.people,
            visits=options.visits,
        )
    ]
    results.publish(
        "exploration",
        title=(
            f"Off-policy estimates of clicks a page: {options.replications} logs of "
            f"{options.people} people with {options.visits} pages each, generated marketplace"
        ),
        rows=rows,
        people=len(pages),
        replications=options.replications,
        arms=float(np.mean([len(arms) for arms in pages.arms])),
        recommend=costs,
    )


def population(recommender: Recommender, histories: dict[str, UserHistory], *, home: Home) -> Pages:
    """Everybody's page with its arms as the scorer sees them, and their true utilities."""
    truth = pq.read_table(home.truth).to_pandas()
    utility = truth.pivot(index=tables.USER_ID, columns=tables.ITEM_ID, values=UTILITY)
    above = utility.sub(outside_option(utility.to_numpy()), axis=0)
    explorer = Explorer(Greedy(), 1, ListingBudget(UNLIMITED))
    arms, kept, worth = [], [], []
    for user_id, history in histories.items():
        turn = explorer.turn(user_id)
        seen = set(history.item_ids)
        found = recommender.recommend(history, k=PAGE, exclude=seen, turn=turn)
        if turn.page is None or turn.field is None or not turn.page.places:
            continue
        ids = [one.item_id for one in found if not one.explored]
        arms.append(turn.page.arms)
        kept.append(above.loc[user_id, ids].to_numpy(dtype=np.float64))
        columns = list(turn.field.item_ids[turn.page.arm_columns])
        worth.append(above.loc[user_id, columns].to_numpy(dtype=np.float64))
    return Pages(tuple(arms), np.array(kept), tuple(worth))


def _covered(
    logged: Policy, new: Policy, pages: Pages, *, replications: int, people: int, visits: int
) -> list[dict[str, str | float]]:
    """One row an estimator."""
    rng = np.random.default_rng(1)
    truth = true_value(_exact(new), pages, rng=rng)
    base = true_value(_exact(logged), pages, rng=rng)
    found = [
        replicate(
            logged,
            new,
            pages,
            people=people,
            visits=visits,
            rng=np.random.default_rng([2, number]),
        )
        for number in range(replications)
    ]
    rows: list[dict[str, str | float]] = []
    for one in range(3):
        values: Floats = np.array([log.estimates[one].value for log in found])
        width = np.mean([log.estimates[one].high - log.estimates[one].low for log in found])
        rows.append(
            {
                "log → new": f"{_short(logged)} → {_short(new)}",
                "log's worth": round(base, 4),
                "new's worth": round(truth, 4),
                "effective pages": round(float(np.mean([log.effective_pages for log in found]))),
                "enough %": round(100 * float(np.mean([log.enough for log in found])), 1),
                "estimator": found[0].estimates[one].estimator,
                "estimate": round(float(values.mean()), 4),
                "width": round(float(width), 4),
                "covered %": round(
                    100 * float(np.mean([log.estimates[one].covers(truth) for log in found])), 1
                ),
            }
        )
    return rows


def _short(policy: Policy) -> str:
    """Its name and floor."""
    return f"{policy.policy_id.partition('(')[0]} {policy.floor:g}"


def _exact(policy: Policy) -> Policy:
    """With so many draws that its probabilities are those of the posterior."""
    return replace(policy, draws=MANY_DRAWS) if isinstance(policy, Thompson) else policy


def _histories(home: Home) -> dict[str, UserHistory]:
    """Everybody who has one online."""
    store = Store(home)
    store.materialize(views=["user_history"])
    users = sorted(set(pq.read_table(home.truth, columns=[tables.USER_ID])[0].to_pylist()))
    return histories_of(users, read_rows(users, store=store))


def _costs(
    recommender: Recommender, history: UserHistory, *, calls: int
) -> dict[str, dict[str, float]]:
    """Milliseconds of a request for ten of all listings, plain and explored, in turns."""
    explorers = {
        "plain": None,
        **{
            _short(policy): Explorer(policy, 1, ListingBudget(UNLIMITED), SHORTLIST)
            for policy in (Thompson(), LinUCB())
        },
    }
    taken = {name: np.empty(calls) for name in explorers}
    for call in range(-WARM_UP, calls):
        for name, explorer in explorers.items():
            began = time.perf_counter()
            turn = explorer.turn(str(call)) if explorer else None
            recommender.recommend(history, k=PAGE, pool="all", turn=turn)
            if call >= 0:
                taken[name][call] = 1000.0 * (time.perf_counter() - began)
    return {name: results.quantiles(times, levels=(50, 99)) for name, times in taken.items()}


if __name__ == "__main__":
    main()
