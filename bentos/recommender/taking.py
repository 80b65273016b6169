"""What is told to the service: events that happened and listings that are new."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import bentoml

from bentos.recommender import measures, payloads, threads
from bentos.recommender.observing.request import keep_private
from bentos.recommender.photos import PhotoRefused, given_photo
from bentos.recommender.state import State, as_responses
from coldstart_models.intake import SERVICE_SOURCE
from validation import tables

if TYPE_CHECKING:
    import pandas as pd


class Taking(State):
    """Endpoints that take events and listings in."""

    @bentoml.api
    def events(self, params: payloads.EventsRequest, /) -> payloads.EventsResponse:
        """Take a batch of events in: gate, log, features, few-shot adaptation."""
        from coldstart_models.event_intake import take_events

        keep_private(event.user_id for event in params.events)
        with measures.stage("events", rows=len(params.events)), as_responses(), self._intake:
            now = self._clock.now()
            taken = take_events(
                _event_frame(params.events, now=now),
                home=self.home,
                store=self.store,
                recommender=self.recommender,
                rules=self._rules,
                now=now,
                deferrable=True,
            )
        if taken.deferred:
            measures.count_degraded("events", reason="store")
        count("events", taken.accepted, taken.quarantined, duplicates=len(taken.duplicates))
        measures.count_failed_checks("events", taken.quarantined)
        return payloads.EventsResponse(
            accepted=list(taken.accepted),
            duplicates=list(taken.duplicates),
            quarantined=[rejected(row.id, row.reasons) for row in taken.quarantined],
            refused=list(taken.refused),
            users=len(taken.user_ids),
            adapted=list(taken.adapted),
            deferred=taken.deferred,
        )

    @bentoml.api
    def listings(self, params: payloads.ListingsRequest, /) -> payloads.ListingsResponse:
        """Take new listings in: gate, encode, push; recommendable when this returns."""
        from coldstart_models.listings import add_listings

        now, rows = self._clock.now(), len(params.listings)
        with as_responses():
            frame, refused = self._listing_frame(params.listings, now=now)
        with (
            measures.stage("listings", rows=rows),
            as_responses(),
            self._intake,
            threads.all_processors(),
        ):
            result = add_listings(
                frame,
                home=self.home,
                store=self.store,
                recommender=self.recommender,
                encoders=self._warm_encoders(),
                rules=self._rules,
                catalogue=self._catalogue,
                now=now,
            )
            self.shelf.add(result.items)  # in here: a deletion that came later stays one
        held = [*refused, *(rejected(row.id, row.reasons) for row in result.quarantined)]
        count("listings", result.accepted, held)
        measures.count_failed_checks("listings", [*result.quarantined, *result.warned])
        return payloads.ListingsResponse(
            accepted=list(result.accepted),
            quarantined=held,
            warnings=[rejected(row.id, row.reasons) for row in result.warned],
            **self._versions(),
        )

    def _listing_frame(
        self, listings: list[payloads.Listing], *, now: datetime
    ) -> "tuple[pd.DataFrame, list[payloads.Rejected]]":
        """The listings as a raw items frame; those whose photo is refused stay out."""
        import pandas as pd

        rows, refused = [], []
        for listing in listings:
            row = listing.model_dump(exclude={"photo_path", "photo_base64"})
            try:
                photo = given_photo(listing, home=self.home)
            except PhotoRefused as reason:
                refused.append(rejected(listing.item_id, [str(reason)]))
                continue
            if photo is not None:
                row[tables.IMAGE_PATH] = str(photo)
            row[tables.LISTED_AT] = row[tables.LISTED_AT] or now
            rows.append({**row, tables.SOURCE: SERVICE_SOURCE})
        return pd.DataFrame(rows, columns=tables.ITEMS.names, dtype=object), refused


def _event_frame(events: list[payloads.Event], *, now: datetime) -> "pd.DataFrame":
    import pandas as pd

    rows = [{**event.model_dump(), tables.SOURCE: SERVICE_SOURCE} for event in events]
    for row in rows:
        row[tables.EVENT_TIMESTAMP] = row[tables.EVENT_TIMESTAMP] or now
        row[tables.RECEIVED_AT] = now
    return pd.DataFrame(rows, columns=tables.EVENTS.names, dtype=object)


def rejected(row_id: Any, reasons: Any) -> payloads.Rejected:
    """A row that was not taken, with its reasons."""
    return payloads.Rejected(id=None if row_id is None else str(row_id), reasons=list(reasons))


def count(kind: str, accepted: Any, quarantined: Any, *, duplicates: int = 0) -> None:
    """Count rows taken in, for `/metrics`."""
    measures.count_intake(kind, outcome="accepted", rows=len(accepted))
    measures.count_intake(kind, outcome="quarantined", rows=len(quarantined))
    measures.count_intake(kind, outcome="duplicate", rows=duplicates)
