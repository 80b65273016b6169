from pathlib import Path

import pytest

from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.feature_quality import ViewQuality, as_dicts, feature_quality
from tests.feature_repo.samples import NOW, events_frame, write_events, write_items


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    write_items(
        home,
        {"item_id": "sofa", "title": "Sofa", "price": 400.0},
        {"item_id": "lamp", "title": "Lamp"},
    )
    write_events(home, events_frame(("u", "sofa", "click", "2024-01-02")))
    aggregate(home=home, now=NOW)
    return home


def of(home: Home, view: str) -> ViewQuality:
    return next(one for one in feature_quality(home) if one.view == view)


def test_a_table_that_holds_who_was_accepted_has_no_problem(home: Home) -> None:
    profile = of(home, "item_profile")
    assert (profile.keys, profile.expected, profile.missing, profile.left_over) == (2, 2, 0, 0)
    assert profile.problems == ()
    assert profile.nulls["price"] == 0.5
    assert "title" not in profile.nulls
    assert of(home, "user_history").problems == ()
    assert of(home, "item_vector").problems == ()


def test_who_has_no_row_is_counted_with_the_command_that_mends_it(home: Home) -> None:
    assert of(home, "item_text_embedding").problems == (
        "2 of 2 have no item_text_embedding: run `coldstart extract`",
    )
    assert of(home, "item_image_embedding").problems == ()
    write_items(home, {"item_id": "rug", "title": "Rug"})
    assert of(home, "item_profile").problems == (
        "1 of 1 have no item_profile: run `coldstart aggregate`",
        "2 rows of item_profile belong to nobody that was accepted: run `coldstart aggregate`",
    )


def test_a_log_that_went_on_is_told(home: Home) -> None:
    write_events(
        home,
        events_frame(("u", "sofa", "click", "2024-01-02"), ("u", "lamp", "click", "2024-01-20")),
    )
    assert of(home, "user_history").problems == (
        "user_history ends 17 days before the log does: run `coldstart aggregate`",
    )


def test_chosen_views_alone_are_looked_at_and_are_json(home: Home) -> None:
    found = feature_quality(home, ["user_history"])
    assert [one["view"] for one in as_dicts(found)] == ["user_history"]
    assert as_dicts(found)[0]["newest"].startswith("2024-01-02")
    assert feature_quality(Home(home.root / "nowhere")) == []


def test_a_log_that_ends_with_impressions_asks_for_no_rows_of_users(home: Home) -> None:
    shown = ("u", "sofa", "impression", "2024-01-20")
    write_events(home, events_frame(("u", "sofa", "click", "2024-01-02"), shown))
    aggregate(home=home, now=NOW)
    problems = {one.view: one.problems for one in feature_quality(home)}
    assert {view for view in problems if view.startswith("user") and problems[view]} == set()
