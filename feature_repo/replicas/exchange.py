"""One look at what state folders over the same online store tell each other."""

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from feature_repo.environment import Environment
from feature_repo.feature_tables import LISTING_CHANGES
from feature_repo.home import Home
from feature_repo.replicas import rows
from feature_repo.replicas.hearing import hear
from feature_repo.replicas.ledger import Ledger
from feature_repo.replicas.rows import FOLDERS, Told
from feature_repo.replicas.telling import (
    FOLDER,
    MARK,
    NEXT_MARK,
    be_known,
    tell,
    tell_again,
    tell_of,
)
from validation.whole_files import alone, identity_of

if TYPE_CHECKING:
    from feature_repo.store import Store

LOCK: Final = ".replicas.lock"

log = logging.getLogger(__name__)


class Exchange:
    """What one process does for its state folder, in turns with the folder's other processes."""

    def __init__(self, home: Home, store: "Store") -> None:
        self._home, self._store = home, store
        self.shared = Environment.current().online_shared(home)
        """Whether other folders may have the online store."""
        self._known: bool | None = None
        """Whether the view is registered; None before anybody asked."""
        self._told = ""
        """The log of changes, as a file, that was told to its end."""

    def look(self) -> int:
        """Tell what changed here, then take in what changed elsewhere; returns how many listings.

        Nothing is done where no other folder can have the online store, or where another process of
        this folder is looking.
        """
        if not self.shared or not self._registered():
            return 0
        try:
            with (
                alone(self._home.replicas.with_name(LOCK), wait=False),
                Ledger.opened(self._home.replicas) as ledger,
            ):
                return self._looked(ledger)
        except BlockingIOError:
            return 0

    def _looked(self, ledger: Ledger) -> int:
        home, store, now = self._home, self._store, datetime.now(UTC)
        own = ledger.fact(FOLDER)
        asked = [FOLDERS, *([own] if own else []), *ledger.heard()]
        found = rows.read(store, asked)
        if own is not None and not _is_ours(found.get(own), ledger):
            log.warning("what is online of %s is not what this folder told: it tells again", own)
            tell_again(home, store, ledger)
        elif own is not None and own not in found.get(FOLDERS, Told((), ())).names:
            be_known(store, own, now=now)
        written, count = identity_of(home.listing_changes), 0
        if written != self._told:
            count = tell(home, store, ledger)
            self._told = written
        own = ledger.fact(FOLDER)
        others = [one for one in found.get(FOLDERS, Told((), ())).names if one != own]
        unknown = [one for one in others if one not in found]
        found |= rows.read(store, unknown) if unknown else {}
        told = {one: found[one] for one in others if one in found}
        took, newer = hear(home, store, ledger, told)
        if newer:
            tell_of(home, store, ledger, newer, changed=newer)
        return count + len(took)

    def _registered(self) -> bool:
        """Whether the view is registered, which a folder of an earlier release lacks."""
        if self._known:
            return True
        known = self._store.knows(LISTING_CHANGES.name)
        if not known and self._known is None:
            log.warning(
                "%s is not registered: other state folders over this online store hear of no new "
                "listings; run `coldstart apply`",
                LISTING_CHANGES.name,
            )
        self._known = known
        return known


def _is_ours(told: Told | None, ledger: Ledger) -> bool:
    """Whether the folder's row is as it wrote it last, or was writing it when it was stopped."""
    mark = ledger.fact(MARK)
    if told is None:
        return mark is None
    return told.names in {(mark,), (ledger.fact(NEXT_MARK),)}
