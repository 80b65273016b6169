"""Listings that change, go, or learn from customers that are given."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from bentos.recommender import measures, payloads, threads
from bentos.recommender.identities import wrong_ids
from bentos.recommender.photos import PhotoRefused, as_given, told_name
from bentos.recommender.state import State, as_responses
from bentos.recommender.taking import count, rejected
from coldstart_models.adapting import known_from
from coldstart_models.log_clock import log_clock
from coldstart_models.online_histories import extend_history
from coldstart_models.snapshot import microseconds
from feature_repo import listing_changes
from feature_repo.feature_tables import ITEM_ADAPTATION
from feature_repo.jobs.sent_photos import SentPhotos
from feature_repo.listing_changes import Kind
from validation import tables

PHOTO: set[str] = {"photo_path", "photo_base64"}


class Changing(State):
    """Endpoints about listings that are there already."""

    @bentoml.api(route="/listings/update")
    def update_listings(
        self, params: payloads.UpdateListingsRequest, /
    ) -> payloads.ListingsResponse:
        """Change listings; the same gate as for new ones. `PATCH /listings/{item_id}` does one."""
        self._bounded("listings", params.listings)
        return self.change_listings(params)

    @bentoml.api(route="/listings/delete")
    def delete_listings(
        self, params: payloads.DeleteListingsRequest, /
    ) -> payloads.DeleteListingsResponse:
        """Delete listings from catalogue, features and ranking; events on them stay.

        `DELETE /listings/{item_id}` deletes one.
        """
        self._bounded("item_ids", params.item_ids)
        return self.remove_listings(params)

    @bentoml.api
    def adapt(self, params: payloads.AdaptRequest, /) -> payloads.AdaptResponse:
        """Let one listing learn from a few given customers; it is ranked by it at once."""
        now = self._clock.now()
        histories = [
            extend_history(
                None,
                item_ids=[event.item_id for event in one.history],
                event_types=[event.event_type for event in one.history],
                timestamps=[event.event_timestamp or now for event in one.history],
            )
            for one in params.customers
        ]
        chosen_at = [microseconds(_aware(one.chosen_at or now)) for one in params.customers]
        undone = "and what was learned is not kept; it is where this is sent again"
        with measures.stage("adapt"), self._intake, as_responses(undone=undone):
            serving = self._serving
            moments = log_clock(self.home).now().read(np.array(chosen_at, np.int64)).tolist()
            rows = serving.recommender.adapt(params.item_id, histories, moments=moments)
            self.store.push(ITEM_ADAPTATION.name, known_from(rows, now), now=now)
            listing_changes.record(self.home, [params.item_id], kind=Kind.LEARNED)
        return payloads.AdaptResponse(
            item_id=params.item_id, support=len(histories), **serving.versions()
        )

    def change_listings(self, params: payloads.UpdateListingsRequest) -> payloads.ListingsResponse:
        """As the endpoint."""
        with SentPhotos(self.home) as sent:
            return self._change_listings(params, sent=sent)

    def _change_listings(
        self, params: payloads.UpdateListingsRequest, *, sent: SentPhotos
    ) -> payloads.ListingsResponse:
        from coldstart_models.delisting import update_listings

        with as_responses():
            changes, refused, names = self._changes(params.listings, sent=sent)
        results = []
        undone = "and what it did not change yet is changed where this is sent again"
        with (
            measures.stage("update listings"),
            self._intake,
            threads.all_processors(),
            as_responses(undone=undone),
        ):
            serving = self._serving
            if changes:
                results = update_listings(
                    changes,
                    home=self.home,
                    store=self.store,
                    recommender=serving.recommender,
                    encoders=self._warm_encoders(),
                    rules=self._rules,
                    catalogue=self._catalogue,
                    now=self._clock.now(),
                )
            for result in results:
                self.shelf.add(result.items)
        accepted = [item_id for result in results for item_id in result.accepted]
        failed = [row for result in results for row in result.quarantined]
        held = [*refused, *(rejected(row.id, as_given(row.reasons, names)) for row in failed)]
        warned = [row for result in results for row in result.warned]
        count("listings", accepted, held)
        measures.count_failed_checks("listings", [*failed, *warned])
        return payloads.ListingsResponse(
            accepted=accepted,
            quarantined=held,
            warnings=[rejected(row.id, as_given(row.reasons, names)) for row in warned],
            **serving.versions(),
        )

    def remove_listings(
        self, params: payloads.DeleteListingsRequest
    ) -> payloads.DeleteListingsResponse:
        """As the endpoint."""
        from coldstart_models.delisting import delete_listings

        undone = "and what it did not delete yet is deleted where this is sent again"
        with measures.stage("delete listings"), as_responses(undone=undone), self._intake:
            serving = self._serving
            gone = delete_listings(
                params.item_ids, home=self.home, store=self.store, recommender=serving.recommender
            )
            self.shelf.remove(params.item_ids)
        return payloads.DeleteListingsResponse(
            deleted=list(gone.deleted),
            unknown=list(gone.unknown),
            rows=gone.rows,
            **serving.versions(),
        )

    def _changes(
        self, listings: list[payloads.ListingChange], *, sent: SentPhotos
    ) -> tuple[dict[str, dict[str, Any]], list[payloads.Rejected], dict[str, str]]:
        """Item id → column → value of what was given; those whose photo is refused, which stay out;
        and what each photo's file is called in reasons.
        """
        changes, refused, names = dict[str, dict[str, Any]](), [], dict[str, str]()
        for one in listings:
            given = one.model_dump(exclude_unset=True, exclude={*PHOTO, tables.ITEM_ID})
            reasons = wrong_ids(given)
            try:
                photo = self._photo(one, sent=sent)
            except PhotoRefused as reason:
                reasons.append(str(reason))
            if reasons:
                refused.append(rejected(one.item_id, reasons))
                continue
            tag = self.shelf.tags.get(one.item_id)
            if tag and tag.photo:
                sent.hold(Path(tag.photo))  # the listing may keep it, whoever replaces it meanwhile
                names[tag.photo] = told_name(Path(tag.photo), home=self.home)
            if photo is not None:
                given[tables.IMAGE_PATH] = str(photo)
                names[str(photo)] = told_name(photo, one, home=self.home)
            changes.setdefault(one.item_id, {}).update(given)
        return changes, refused, names


def _aware(moment: datetime) -> datetime:
    """A time without a zone counts as UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
