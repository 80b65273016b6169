"""Late is lost, however late this thread looks; the store's own error is its own."""

import threading
from concurrent.futures import Future
from typing import Any, cast

import pytest

from bentos.recommender.deadlines import GuardedStore
from feature_repo.errors import StoreLost
from feature_repo.store import Store


class Slow:
    """A store that answers when it is let."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go_on, self.error = threading.Event(), error

    def read_within(self, seconds: float) -> bool:
        return False

    def probe(self, item_ids: object) -> bool:
        self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        return True


class Late(Future[bool]):
    """Whose waiter, once its time is over, is held up until the answer is there."""

    store: Slow

    def result(self, timeout: float | None = None) -> bool:
        try:
            return super().result(timeout)
        except TimeoutError:
            self.store.go_on.set()
            super().exception(10)
            raise


@pytest.mark.parametrize("error", [None, TimeoutError("its own"), ValueError("its own")])
def test_an_answer_that_comes_while_the_deadline_is_told_is_lost(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    store = Slow(error)
    guarded = GuardedStore(cast(Store, store), deadline=0.02)
    submit = guarded._threads.submit

    def held_up(*arguments: Any) -> Future[bool]:
        running: Future[bool] = submit(*arguments)
        running.__class__ = Late
        cast(Late, running).store = store
        return running

    monkeypatch.setattr(guarded._threads, "submit", held_up)
    with pytest.raises(StoreLost, match="did not answer within 20 ms"):
        guarded.probe()


def test_an_error_of_the_stores_own_is_told_as_it_is() -> None:
    store = Slow(TimeoutError("its own"))
    store.go_on.set()
    with pytest.raises(TimeoutError, match="its own"):
        GuardedStore(cast(Store, store), deadline=5.0).probe()
