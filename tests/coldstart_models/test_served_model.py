"""Which model is served is a choice in the state folder that can be taken back."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coldstart_models.artifacts import save_model
from coldstart_models.errors import ArtifactError
from coldstart_models.served_model import (
    REMEMBERED,
    choose,
    go_back,
    note_started,
    read_choice,
    served_tag,
)
from feature_repo.home import Home
from tests.coldstart_models.test_artifacts import CONTRACT, folder

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def tags(home: Home, tmp_path: Path) -> list[str]:
    model = folder(tmp_path)
    return [
        save_model(model, contract=replace(CONTRACT, code_version=version), metadata={}, home=home)
        for version in ("1", "2", "3")
    ]


def test_without_a_choice_the_bentos_model_is_served_and_else_the_latest(home: Home) -> None:
    assert read_choice(home) is None
    assert served_tag(home) == "latest"
    assert served_tag(home, packed="coldstart-siamese:packed") == "coldstart-siamese:packed"


def test_choices_are_taken_back_one_by_one(home: Home, tags: list[str]) -> None:
    first, second, third = tags
    choose(home, tag=third, now=NOW)
    choose(home, tag=first, now=NOW)
    assert served_tag(home, packed=third) == first
    assert go_back(home, now=NOW).tag == third
    assert go_back(home, now=NOW).tag == second  # what was the newest beside the third
    with pytest.raises(ArtifactError, match="no model was chosen before"):
        go_back(home, now=NOW)
    assert served_tag(home) == second


def test_the_first_choice_is_taken_back_to_what_a_service_had_begun_with(
    home: Home, tags: list[str]
) -> None:
    note_started(home, tags[0])
    choose(home, tag=tags[1], now=NOW)
    assert go_back(home, now=NOW).tag == tags[0]


def test_going_back_without_any_choice_says_what_to_do(home: Home, tags: list[str]) -> None:
    with pytest.raises(ArtifactError, match="`coldstart models use TAG`"):
        go_back(home, now=NOW)


def test_choosing_the_same_again_keeps_the_way_back(home: Home, tags: list[str]) -> None:
    choose(home, tag=tags[0], now=NOW)
    again = choose(home, tag=tags[0].partition(":")[2], now=NOW)
    assert (again.tag, again.earlier) == (tags[0], (tags[2],))


def test_only_so_many_choices_are_remembered(home: Home, tags: list[str]) -> None:
    for turn in range(REMEMBERED + 5):
        chosen = choose(home, tag=tags[turn % 2], now=NOW)
    assert len(chosen.earlier) == REMEMBERED


def test_an_unknown_model_is_not_chosen(home: Home, tags: list[str]) -> None:
    with pytest.raises(ArtifactError, match="no model coldstart-siamese:nothing"):
        choose(home, tag="nothing", now=NOW)
    assert read_choice(home) is None


def test_a_choice_that_cannot_be_read_says_so_and_is_written_over(
    home: Home, tags: list[str]
) -> None:
    home.served_model.write_text('{"model": "x"}')
    with pytest.raises(ArtifactError, match="choose again"):
        read_choice(home)
    choose(home, tag=tags[1], now=NOW)
    assert served_tag(home) == tags[1]
    assert [path.name for path in home.root.glob("*.partial")] == []


def test_the_file_is_json_that_others_can_read(home: Home, tags: list[str]) -> None:
    choose(home, tag=tags[0], now=NOW)
    assert json.loads(home.served_model.read_text()) == {
        "model": tags[0],
        "chosen_at": "2026-03-01T00:00:00+00:00",
        "earlier": [tags[2]],
    }
