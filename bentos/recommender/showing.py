"""What the storefront page shows around recommendations: listings to choose from, and places."""

import bentoml

from bentos.recommender import measures, payloads
from bentos.recommender.asking import Asking
from bentos.recommender.requests import Ranking
from bentos.recommender.state import as_responses

SHOWN_USERS = 50


class Showing(Asking):
    """Endpoints of the storefront page; they change nothing."""

    @bentoml.api
    def showcase(self, params: payloads.ShowcaseRequest, /) -> payloads.ShowcaseResponse:
        """Listings to look around in, people to try, and what listings are filed and priced in."""
        shelf = self.shelf
        return payloads.ShowcaseResponse(
            listings=[
                payloads.ShownListing(item_id=item_id, **shelf.label(item_id))
                for item_id in shelf.varied(params.k, start=params.start)
            ],
            user_ids=shelf.user_ids[:SHOWN_USERS],
            categories=shelf.categories,
            currency=shelf.currency,
        )

    @bentoml.api
    def place(self, params: payloads.PlaceRequest, /) -> payloads.PlaceResponse:
        """Where one listing stands for a person among those that `recommend` chooses from."""
        serving = self._serving
        history, _ = self._history(params, endpoint="place")
        ranking = Ranking.of(params, serving.lanes)
        recommender = ranking.lane.recommender
        with measures.stage("place"), as_responses():
            place, among = recommender.place(
                history, params.item_id, pool=params.pool, personal=ranking.personal
            )
            support = recommender.support(params.item_id)
        return payloads.PlaceResponse(
            item_id=params.item_id,
            place=place,
            among=among,
            support=support,
            personal=recommender.knows(history),
            **serving.versions(recommender),
        )
