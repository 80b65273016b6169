"""Where the time of a request goes: the service in this process, under cProfile.

    python -m benchmarks.serving_profile USER CALLS

prints JSON, for somebody who comes back and for somebody who just clicked: the milliseconds
between request and answer without HTTP (the median, unprofiled), and how the stages share them.
It reads the state folder and the stores that the environment names, as the service does.
"""

import cProfile
import itertools
import json
import pstats
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from benchmarks import results

STAGES: Final = {
    "read the history online": ("asking.py", "_stored_history"),
    "filter the candidates": ("candidates.py", "pool_rows"),
    "see the person beside them": ("person.py", "of"),
    "sum the scores": ("scoring.py", "summed"),
    "order them": ("arranging.py", "order"),
    "tell the reasons": ("explaining.py", "sentences"),
    "make the answer": ("asking.py", "_recommendations"),
    "sign the next page": ("cursor.py", "after"),
}
"""Stage → the end of its file's name and its function."""


BACK: Final = "who comes back"
CLICKED: Final = "who just clicked"
CLICKS: Final = 500
"""Different ones in turn, more than people that the service remembers."""


def main() -> None:
    """Profile calls and print milliseconds."""
    user, calls = sys.argv[1], int(sys.argv[2])
    print(json.dumps(stages(user, calls)))


def stages(user: str, calls: int) -> dict[str, dict[str, float]]:
    """Who → stage → ms, largest first."""
    from bentos.recommender import payloads
    from bentos.recommender.service import RecommenderService

    made: Any = RecommenderService
    service = made.inner()
    body = {"user_id": user, "k": 10, "pool": "all", "exclude_seen": False}
    back = payloads.RecommendRequest.model_validate(body)
    clicks = itertools.cycle(
        payloads.RecommendRequest.model_validate(
            {**body, "session": [{"item_id": item_id, "event_type": "click"}]}
        )
        for item_id in list(service.shelf.tags)[:CLICKS]
    )
    return {
        BACK: _stages(lambda: service.recommend(back), calls),
        CLICKED: _stages(lambda: service.recommend(next(clicks)), calls),
    }


def _stages(ask: Callable[[], object], calls: int) -> dict[str, float]:
    for _ in range(50):
        ask()
    whole = 1000 * float(np.median([results.seconds(ask) for _ in range(calls)]))
    profile = cProfile.Profile()
    for _ in range(calls):
        profile.runcall(ask)
    found: Any = pstats.Stats(profile)
    shares = {
        stage: max(  # where one calls another of its name, that is part of it
            (
                numbers[3]
                for (path, _, function), numbers in found.stats.items()
                if path.endswith(file) and function == name
            ),
            default=0.0,
        )
        / found.total_tt
        for stage, (file, name) in STAGES.items()
    }
    shares["everything else"] = 1.0 - sum(shares.values())
    ordered = sorted(shares.items(), key=lambda one: -one[1])
    return {"all": round(whole, 2)} | {name: round(share * whole, 2) for name, share in ordered}


if __name__ == "__main__":
    main()
