"""The real service for a real server process, over a recommender whose answers are known."""

from coldstart_models import recommending
from tests.bentos.fakes import PRIOR, CountingRecommender


def _load(home: object, *, tag: str) -> CountingRecommender:
    return CountingRecommender(PRIOR)


recommending.Recommender.load = _load  # type: ignore[method-assign,assignment]

from bentos.recommender.service import RecommenderService as RecommenderService  # noqa: E402
