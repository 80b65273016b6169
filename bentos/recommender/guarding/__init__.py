"""What stands between the network and the service, outermost first.

Headers make every answer safe to show, answers give every error one shape and hide what went
wrong inside, keys tell who asks and whether they may, rates tell how often, bodies how much. Each
is plain ASGI and knows nothing of the others; what they go by is the `Guard` of the service that
runs.
"""

from typing import Any, Final

from bentos.recommender.guarding.answers import PlainAnswers
from bentos.recommender.guarding.bodies import BoundedBodies
from bentos.recommender.guarding.guard import Guard
from bentos.recommender.guarding.headers import SafeHeaders
from bentos.recommender.guarding.keys import AskedByKey
from bentos.recommender.guarding.rates import BoundedRates

__all__ = ["ORDER", "Guard", "guarded"]

ORDER: Final = (SafeHeaders, PlainAnswers, AskedByKey, BoundedRates, BoundedBodies)


def guarded(service: Any) -> None:
    """Put the guards around a Bento service; those added later stand further inside."""
    for guard in ORDER:
        service.add_asgi_middleware(guard)
