"""What stands between the network and the service, outermost first.

Headers make every answer safe to show, the request gets its id and its line in the log, answers
give every error one shape and hide what went wrong inside, patience gives up on what takes too
long, keys tell who asks and whether they may, rates tell how often, bodies how much; what has come
so far gets a place in the bounded queue. Each is plain ASGI and knows nothing of the others;
what the guards go by is the `Guard` of the service that runs.
"""

from typing import Any, Final

from bentos.recommender.guarding.answers import PlainAnswers
from bentos.recommender.guarding.bodies import BoundedBodies
from bentos.recommender.guarding.guard import Guard
from bentos.recommender.guarding.headers import SafeHeaders
from bentos.recommender.guarding.keys import AskedByKey
from bentos.recommender.guarding.patience import BoundedTime
from bentos.recommender.guarding.places import BoundedPlaces
from bentos.recommender.guarding.rates import BoundedRates
from bentos.recommender.observing.middleware import RequestMiddleware

__all__ = ["ORDER", "Guard", "guarded"]

ORDER: Final = (
    SafeHeaders,
    RequestMiddleware,
    PlainAnswers,
    BoundedTime,
    AskedByKey,
    BoundedRates,
    BoundedBodies,
    BoundedPlaces,
)


def guarded(service: Any) -> None:
    """Put the guards around a Bento service; those added later stand further inside."""
    routes = frozenset(f"/{one.route.strip('/')}" for one in service.apis.values())
    for guard in ORDER:
        options = {"routes": routes} if guard is RequestMiddleware else {}
        service.add_asgi_middleware(guard, **options)
