"""The real service for a real server process, over a recommender whose answers are known.

It starts with the whole catalogue, as the real one does.
"""

from coldstart_models import recommending
from feature_repo.home import Home
from tests.bentos.fakes import PRIOR, CountingRecommender


def _load(home: Home, *, tag: str) -> CountingRecommender:
    recommender = CountingRecommender(PRIOR)
    recommender.reload(home)
    return recommender


recommending.Recommender.load = _load  # type: ignore[method-assign,assignment]

from bentos.recommender.service import RecommenderService as RecommenderService  # noqa: E402
