"""Where the time of a request goes: the service in this process, under cProfile.

    python -m benchmarks.serving_profile USER CALLS

prints JSON: each stage's share of the time between request and answer, without HTTP. It reads the
state folder and the stores that the environment names, as the service does.
"""

import cProfile
import json
import pstats
import sys
from typing import Any, Final

STAGES: Final = {
    "read the history online": ("asking.py", "_stored_history"),
    "filter the candidates": ("candidates.py", "pool_rows"),
    "see the person beside them": ("person.py", "of"),
    "sum the scores": ("recommending.py", "_summed"),
    "order them": ("arranging.py", "order"),
    "tell the reasons": ("recommending.py", "_sentences"),
    "make the answer": ("asking.py", "_recommendations"),
    "sign the next page": ("cursor.py", "after"),
}
"""Stage → the end of its file's name and its function."""


def main() -> None:
    """Profile calls and print shares."""
    user, calls = sys.argv[1], int(sys.argv[2])
    print(json.dumps(shares(user, calls)))


def shares(user: str, calls: int) -> dict[str, float]:
    """Stage → share of the time of `recommend`, largest first."""
    from bentos.recommender import payloads
    from bentos.recommender.service import RecommenderService

    made: Any = RecommenderService
    service = made.inner()
    asked = payloads.RecommendRequest.model_validate(
        {"user_id": user, "k": 10, "pool": "all", "exclude_seen": False}
    )
    for _ in range(50):
        service.recommend(asked)
    profile = cProfile.Profile()
    for _ in range(calls):
        profile.runcall(service.recommend, asked)
    found: Any = pstats.Stats(profile)
    total = found.total_tt
    taken = {
        stage: sum(
            numbers[3]
            for (path, _, function), numbers in found.stats.items()
            if path.endswith(file) and function == name
        )
        / total
        for stage, (file, name) in STAGES.items()
    }
    taken["everything else"] = 1.0 - sum(taken.values())
    ordered = sorted(taken.items(), key=lambda one: -one[1])
    return {stage: round(share, 3) for stage, share in ordered}


if __name__ == "__main__":
    main()
