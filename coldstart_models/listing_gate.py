"""What a batch of listings passes: the gate beside the catalogue, and the catalogue's file.

Others may write the catalogue between the two steps; then the batch is judged again beside theirs.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from coldstart_models.intake import QuarantinedRow, json_text, keep_quarantined, told_rows
from coldstart_models.listing_updates import DELETED_MEANWHILE, Changes, changed_ids
from coldstart_models.progress import Progress
from feature_repo.home import Home
from feature_repo.jobs.catalogue import accepted_rows, write_listings
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.jobs.fingerprints import grown_fingerprints
from feature_repo.jobs.sent_photos import remove_unnamed
from validation import reasons, tables
from validation.rules import Rules

if TYPE_CHECKING:
    from validation.result import GateResult

STEP: Final = "listings"


@dataclass(frozen=True, slots=True)
class ListingsResult:
    """What became of the listings."""

    accepted: tuple[str, ...]
    """Item ids that can be recommended now."""
    quarantined: tuple[QuarantinedRow, ...]
    items: pd.DataFrame
    """The accepted listings, canonical columns."""
    warned: tuple[QuarantinedRow, ...] = ()
    """Accepted listings with something to mend."""


@dataclass(frozen=True, slots=True)
class Again:
    """What becomes of a batch beside a catalogue that others have written meanwhile."""

    verdict: "GateResult"
    gone: tuple[QuarantinedRow, ...] = ()
    """Listings that were to change and are no more."""
    renewed: frozenset[str] = frozenset()
    """Those that are other ones than was judged at first."""

    @property
    def renewed_items(self) -> pd.DataFrame:
        """Of these, the accepted ones, in ascending `item_id`."""
        accepted = self.verdict.accepted
        return in_order(accepted[accepted[tables.ITEM_ID].isin(list(self.renewed))])


@dataclass(frozen=True, slots=True)
class ListingGate:
    """What one batch of listings passes; hold the catalogue's lock for either of its steps."""

    home: Home
    raw: pd.DataFrame
    source: str
    rules: Rules
    catalogue: CatalogueReference
    now: datetime

    def check(self, raw: pd.DataFrame, *, progress: Progress | None = None) -> "GateResult":
        """The verdict beside the catalogue as it is."""
        from validation import gate

        return gate.check_items(
            raw,
            reference=self.catalogue.of(accepted_rows(tables.ITEMS, self.home.items)),
            rules=self.rules,
            now=self.now,
            progress=progress,
        )

    def again(self, first: "GateResult", changes: Changes | None) -> Again:
        """The verdict on what was accepted at first, where others have written the catalogue since.

        What changes a listing changes it as it stands now.
        """
        held = first.quarantined[reasons.ROW_NUMBER].to_numpy(np.int64)
        left = self.raw.drop(self.raw.index[held])
        if changes is None:
            return Again(self.check(left))
        asked = set(left[tables.ITEM_ID])
        listed = accepted_rows(tables.ITEMS, self.home.items)
        drawn = raw_items(changes.made(listed, item_ids=asked), self.source)
        gone = sorted(asked - set(drawn[tables.ITEM_ID]))
        return Again(
            self.check(drawn),
            gone=tuple(QuarantinedRow(item_id, (DELETED_MEANWHILE,)) for item_id in gone),
            renewed=frozenset(changed_ids(left, drawn)),
        )

    def put(self, *verdicts: "GateResult") -> ListingsResult:
        """Keep what is held back, and put what is accepted into the catalogue, last and at once.

        Where it raises, the catalogue is as it was.

        Args:
            verdicts: each of what the one before accepted.
        """
        from feature_repo.jobs.upsert import upsert
        from validation import history
        from validation.summary import summary_of

        home, source, checked = self.home, self.source, verdicts[-1]
        held: list[QuarantinedRow] = []
        for one in verdicts:
            held += keep_quarantined(one, home=home, source=source, now=self.now)
            history.record([summary_of([one])], folder=home.gate_results, source=source, step=STEP)
        if len(checked.accepted):
            before = accepted_rows(tables.ITEMS, home.items)
            after = upsert(tables.ITEMS, before, checked.accepted, source=source, whole=False).rows
            photos = grown_fingerprints(checked, home=home, item_ids=after[tables.ITEM_ID])
            write_listings(home, after, photos=photos)
            again = before[tables.ITEM_ID].isin(checked.accepted[tables.ITEM_ID])
            remove_unnamed(before.loc[again, tables.IMAGE_PATH], home=home)
            self.catalogue.grown(checked.accepted, photos=checked.fingerprints)
        accepted = in_order(checked.accepted)
        return ListingsResult(
            tuple(accepted[tables.ITEM_ID]), tuple(held), accepted, told_rows(checked.warnings)
        )


def raw_items(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The listings of one source as the gate reads them, attributes as JSON."""
    raw = frame.assign(**{tables.SOURCE: source})
    if tables.ATTRIBUTES in raw.columns:
        raw = raw.assign(**{tables.ATTRIBUTES: raw[tables.ATTRIBUTES].map(json_text)})
    return raw


def in_order(accepted: pd.DataFrame) -> pd.DataFrame:
    """The accepted listings in ascending `item_id`."""
    return accepted.sort_values(tables.ITEM_ID).reset_index(drop=True)
