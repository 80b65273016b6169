"""What is told to the service: events that happened and listings that are new."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import bentoml

from bentos.recommender import measures, payloads, threads
from bentos.recommender.identities import shown, wrong_ids
from bentos.recommender.observing.request import keep_private
from bentos.recommender.photos import PhotoRefused, as_given, told_name
from bentos.recommender.state import State, as_responses
from coldstart_models.intake import SERVICE_SOURCE
from feature_repo.jobs.sent_photos import SentPhotos
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
            frame, unnamed = _event_frame(params.events, now=now)
            taken = take_events(
                frame,
                home=self.home,
                store=self.store,
                recommender=self.recommender,
                rules=self._rules,
                now=now,
                deferrable=True,
            )
        if taken.deferred:
            measures.count_degraded("events", reason="store")
        held = [*unnamed, *(rejected(row.id, row.reasons) for row in taken.quarantined)]
        count("events", taken.accepted, held, duplicates=len(taken.duplicates))
        measures.count_failed_checks("events", taken.quarantined)
        return payloads.EventsResponse(
            accepted=list(taken.accepted),
            duplicates=list(taken.duplicates),
            quarantined=held,
            refused=list(taken.refused),
            users=len(taken.user_ids),
            adapted=list(taken.adapted),
            deferred=taken.deferred,
        )

    @bentoml.api
    def listings(self, params: payloads.ListingsRequest, /) -> payloads.ListingsResponse:
        """Take new listings in: gate, encode, push; recommendable when this returns."""
        self._bounded("listings", params.listings)
        with SentPhotos(self.home) as sent:
            return self._take_listings(params, sent=sent)

    def _take_listings(
        self, params: payloads.ListingsRequest, *, sent: SentPhotos
    ) -> payloads.ListingsResponse:
        from coldstart_models.listings import add_listings

        now, rows = self._clock.now(), len(params.listings)
        with as_responses():
            frame, refused, names = self._listing_frame(params.listings, now=now, sent=sent)
        with (
            measures.stage("listings", rows=rows),
            as_responses(),
            self._intake,
            threads.all_processors(),
        ):
            serving = self._serving
            result = add_listings(
                frame,
                home=self.home,
                store=self.store,
                recommender=serving.recommender,
                encoders=self._warm_encoders(),
                rules=self._rules,
                catalogue=self._catalogue,
                now=now,
            )
            self.shelf.add(result.items)  # in here: a deletion that came later stays one
        failed = (rejected(row.id, as_given(row.reasons, names)) for row in result.quarantined)
        held = [*refused, *failed]
        count("listings", result.accepted, held)
        measures.count_failed_checks("listings", [*result.quarantined, *result.warned])
        return payloads.ListingsResponse(
            accepted=list(result.accepted),
            quarantined=held,
            warnings=[rejected(row.id, as_given(row.reasons, names)) for row in result.warned],
            **serving.versions(),
        )

    def _listing_frame(
        self, listings: list[payloads.Listing], *, now: datetime, sent: SentPhotos
    ) -> "tuple[pd.DataFrame, list[payloads.Rejected], dict[str, str]]":
        """The listings as a raw items frame, without those whose photo is refused; these; and what
        each photo's file is called in reasons.
        """
        import pandas as pd

        rows, refused, names = [], [], dict[str, str]()
        for listing in listings:
            row = listing.model_dump(exclude={"photo_path", "photo_base64"})
            reasons = wrong_ids(row)
            try:
                photo = None if reasons else self._photo(listing, sent=sent)
            except PhotoRefused as reason:
                reasons = [str(reason)]
            if reasons:
                refused.append(rejected(listing.item_id, reasons))
                continue
            if photo is not None:
                row[tables.IMAGE_PATH] = str(photo)
                names[str(photo)] = told_name(photo, listing, home=self.home)
            row[tables.LISTED_AT] = row[tables.LISTED_AT] or now
            rows.append({**row, tables.SOURCE: SERVICE_SOURCE})
        return pd.DataFrame(rows, columns=tables.ITEMS.names, dtype=object), refused, names


def _event_frame(
    events: list[payloads.Event], *, now: datetime
) -> "tuple[pd.DataFrame, list[payloads.Rejected]]":
    """The events as a raw frame; those with ids that are none stay out."""
    import pandas as pd

    rows, refused = [], []
    for event in events:
        row = {**event.model_dump(), tables.SOURCE: SERVICE_SOURCE, tables.RECEIVED_AT: now}
        reasons = wrong_ids(row)
        if reasons:
            refused.append(rejected(event.event_id, reasons))
            continue
        row[tables.EVENT_TIMESTAMP] = row[tables.EVENT_TIMESTAMP] or now
        rows.append(row)
    return pd.DataFrame(rows, columns=tables.EVENTS.names, dtype=object), refused


def rejected(row_id: Any, reasons: Any) -> payloads.Rejected:
    """A row that was not taken, with its reasons."""
    return payloads.Rejected(id=shown(row_id), reasons=list(reasons))


def count(kind: str, accepted: Any, quarantined: Any, *, duplicates: int = 0) -> None:
    """Count rows taken in, for `/metrics`."""
    measures.count_intake(kind, outcome="accepted", rows=len(accepted))
    measures.count_intake(kind, outcome="quarantined", rows=len(quarantined))
    measures.count_intake(kind, outcome="duplicate", rows=duplicates)
