"""Keeping up with other processes: workers, the command line, consumers of events."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from bentos.recommender import measures
from bentos.recommender.people import People
from bentos.recommender.shelf import Shelf
from bentos.recommender.state import logger
from bentos.recommender.swapping import Swapping
from coldstart_models.errors import ModelError
from feature_repo.errors import FeatureError, StoreLost
from feature_repo.event_log import event_log
from feature_repo.listing_changes import ListingChanges
from feature_repo.page_exposures import ExploredExposures
from feature_repo.replicas.exchange import Exchange

FOLLOW_SECONDS: Final = 0.5
"""Between looks for what others changed."""
LONGEST_FOLLOW_SECONDS: Final = 60.0
"""The same while looking fails; doubled from failure to failure."""
FOLLOW_LOST_SECONDS: Final = 2.0
"""The most while the online store is lost."""
COUNT_SECONDS: Final = 60.0
"""Between counts of what sells; of a log that was written anew, as by an erasure, at once."""


class Following(Swapping, People):
    """Threads that look."""

    _exchange: Exchange
    """With state folders of other machines, over the same online store."""
    _listing_changes: ListingChanges
    _exposures: ExploredExposures
    _missed: set[str]
    """Listings that changed and could not be taken up yet."""
    _missed_all: bool = False
    """Whether too much changed to say what, and it could not be loaded yet."""
    _counted_at: float = -math.inf
    """When choices were counted, in seconds of this process's monotonic clock."""

    def start_following(self) -> None:
        """Look until the process ends."""
        for name, look in self.looks().items():
            threading.Thread(
                target=self._follow,
                kwargs={"look": look},
                name=f"coldstart-follow-{name}",
                daemon=True,
            ).start()

    def looks(self) -> dict[str, Callable[[], object]]:
        """What is looked for, each in a thread of its own: events and the choice of a model,
        listings, what sells, what others explored where something is, and other state folders where
        there may be some.

        Learning from events takes a model's time and waits for what is being taken in, which a
        listing of another worker need not.
        """
        looks: dict[str, Callable[[], object]]
        looks = {
            "events": self._keep_up,
            "listings": self.take_up_listings,
            "sales": self.count_sales,
        }
        if self._lanes.explores:
            looks["exposures"] = self.count_explored
        if self._exchange.shared:
            looks["replicas"] = self._exchange.look
        return looks

    def _follow(
        self,
        wait: Callable[[float], object] = time.sleep,
        look: Callable[[], object] | None = None,
    ) -> None:
        """Nobody would start this thread again: it outlives every error, and looks less often
        while they last.
        """
        pause = FOLLOW_SECONDS
        while True:
            wait(pause)
            try:
                (look or self.follow)()
            except Exception as error:
                measures.count_follow_failure(error)
                lost = isinstance(error, StoreLost)  # then acknowledged events wait for us
                pause = min(2 * pause, FOLLOW_LOST_SECONDS if lost else LONGEST_FOLLOW_SECONDS)
                logger.error(
                    "what other processes changed is not taken up now, next try in %.0f s: %s",
                    pause,
                    error,
                    exc_info=not isinstance(error, FeatureError | ModelError),
                )
            else:
                pause = FOLLOW_SECONDS

    def _keep_up(self) -> None:
        self.follow_choice()
        self.follow()

    def follow(self) -> None:
        """Let new listings learn from events that other processes took in, once."""
        from coldstart_models.online_push import is_behind, push_online

        self._notice_erasures()
        if is_behind(self.home):
            with self._intake:
                push_online(
                    self.home, self.store, recommender=self.recommender, now=self._clock.now()
                )

    def count_explored(self) -> None:
        """Count against the budgets what other processes explored, once."""
        self._lanes.count_explored(self._exposures.look())

    def count_sales(self) -> None:
        """Rank known items by what sells by now, once in a while."""
        log, now = event_log(self.home).state(), time.monotonic()
        counted = self.recommender.counted
        anew = counted is not None and counted.generation != log.generation
        if anew or now - self._counted_at >= COUNT_SECONDS:
            self.recommender.count_sales(log)
            self._counted_at = now

    def take_up_listings(self) -> None:
        """Serve listings as other processes left them, once."""
        from coldstart_models.served_recommender import take_up_changes

        changed = self._listing_changes.ids()
        if changed is None:
            self._missed_all, self._missed = True, set()
        if self._missed_all:
            self.recommender.reload(self.home)
            self.shelf.replace(Shelf.load(self.home))
            self._missed_all = False
        self._missed |= set(changed or ())
        if not self._missed:
            return
        served, gone = take_up_changes(
            self._missed, home=self.home, store=self._online.patient, recommender=self.recommender
        )
        for items in served:
            self.shelf.add(items)
        if gone:
            self.shelf.remove(gone)
        self._missed = set()
