"""Python's collector leaves alone what a start has made."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from bentos.recommender.collecting import frozen_after


@pytest.fixture
def _nothing_is_frozen() -> Iterator[None]:
    """Also not what another test's service has frozen."""
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_nothing_is_frozen")
def test_nothing_is_collected_within_and_what_is_there_afterwards_is_frozen() -> None:
    with frozen_after():
        assert not gc.isenabled()
        kept = [[number] for number in range(1_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)


@pytest.mark.usefixtures("_nothing_is_frozen")
def test_what_a_service_made_as_it_started_is_frozen_and_not_looked_through(
    request: pytest.FixtureRequest,
) -> None:
    assert gc.get_freeze_count() == 0
    service: Any = request.getfixturevalue("service")
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    made = {id(service), id(service.shelf), id(service._serving)}
    assert not made & {id(one) for one in gc.get_objects()}


def test_a_start_that_fails_leaves_the_collector_at_work() -> None:
    with pytest.raises(ValueError, match="no model"), frozen_after():
        raise ValueError("no model")
    assert gc.isenabled()
