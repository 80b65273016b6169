"""What the first listing needs is loaded beside the model, once."""

import logging
import sys
from dataclasses import replace
from typing import Any

import pytest

from bentos.recommender import threads
from coldstart_models.artifacts import Contract
from coldstart_models.errors import ModelError
from coldstart_models.log_clock import LogClock
from feature_repo.errors import EncoderError
from feature_repo.home import Home
from tests.bentos.conftest import LEARN_BESIDE
from tests.bentos.fakes import colour_encoders
from validation.reference import Reference

loaded: list[Contract] = []


@pytest.fixture(autouse=True)
def _encoders(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded.clear()

    def load(contract: Contract) -> Any:
        loaded.append(contract)
        return colour_encoders()

    monkeypatch.setattr(service, "_load_encoders", load)


def learned(service: Any, contract: Contract) -> None:
    LEARN_BESIDE(service, contract)
    LEARN_BESIDE(service, contract)  # where a corrupt model is passed over for another one
    assert service._learning is not None
    service._learning.join(60)
    assert not service._learning.is_alive()


def test_gate_and_encoders_are_there_when_the_model_is(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned(service, service.contract)
    assert loaded == [service.contract]
    assert service._encoders is None
    reference = service._catalogue.held()
    assert reference is not None
    assert set(reference.listings["item_id"]) == {"chair", "lamp", "sofa"}

    def again(*given: Any, **named: Any) -> None:
        raise AssertionError("the catalogue was learned already")

    monkeypatch.setattr(Reference, "of", again)
    monkeypatch.setattr("bentos.recommender.warming.accepted_rows", again)
    monkeypatch.setattr("validation.gate.check_items", lambda *given, **named: None)
    counted: list[Home] = []
    monkeypatch.setattr(LogClock, "now", lambda clock: counted.append(clock.home))
    service._warm()
    assert loaded == [service.contract]
    assert service._encoders is not None
    assert not service._warming
    assert counted == [service.home]


def test_threads_take_turns_quickly_until_all_is_loaded(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sys.getswitchinterval()
    monkeypatch.undo()
    service._usual_turns = threads.take_turns_quickly()
    assert sys.getswitchinterval() < before == service._usual_turns
    monkeypatch.setattr(service, "_warm_gate", lambda: None)
    monkeypatch.setattr(service, "_try_encoders", lambda: None)
    service._warm()
    assert sys.getswitchinterval() == before


def test_encoders_of_a_model_that_is_not_served_after_all_are_not_used(service: Any) -> None:
    other = replace(service.contract, vector_width=3)
    learned(service, other)
    service._warm()
    assert loaded == [other, service.contract]


def test_what_fails_beside_the_model_is_tried_again_and_told_as_an_error_once(
    service: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(contract: Contract) -> Any:
        loaded.append(contract)
        raise ModelError("no such folder")

    monkeypatch.setattr(service, "_load_encoders", load)
    learned(service, service.contract)
    service._warm()
    assert len(loaded) == 2
    errors = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert errors == ["listings cannot be encoded: no such folder"]
    assert not service._warming


def test_a_listing_that_encoders_fail_on_is_told_and_leaves_the_worker_ready(
    service: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise EncoderError("no such words")

    monkeypatch.setattr("bentos.recommender.warming.encode", fail)
    monkeypatch.setattr(service, "_warm_gate", lambda: None)
    service._warm()
    errors = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert errors == ["a listing that was tried cannot be encoded: no such words"]
    assert not service._warming
