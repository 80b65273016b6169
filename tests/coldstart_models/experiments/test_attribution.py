"""What came of a page, to the event: provable on a handful of rows."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from coldstart_models.experiments.attribution import by_page, credited, shown_frame, unit_events
from coldstart_models.experiments.outcomes import units_of
from feature_repo.page_log import ServedPage
from validation import tables

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRICES = pd.Series({"sofa": 700.0, "lamp": 40.0, "chair": 80.0})


def page(number, *, hours, user="ann", session=None, variant="control", items=("sofa", "lamp")):
    return ServedPage(
        page_id=f"p{number}",
        served_at=START + timedelta(hours=hours),
        user_id=user,
        session_id=session,
        model="m:1",
        policy=None,
        experiment="x",
        variant=variant,
        personal=None,
        item_ids=tuple(items),
        propensities=(1.0,) * len(items),
    )


def event(kind, item, *, hours, user="ann", session=None, quantity=None, price=None):
    return {
        tables.USER_ID: user,
        tables.SESSION_ID: session,
        tables.ITEM_ID: item,
        tables.EVENT_TYPE: kind,
        tables.EVENT_TIMESTAMP: pd.Timestamp(START + timedelta(hours=hours)),
        tables.QUANTITY: quantity,
        tables.UNIT_PRICE: price,
    }


def events_of(*rows):
    frame = pd.DataFrame(rows).astype({tables.QUANTITY: float, tables.UNIT_PRICE: float})
    return unit_events(frame, PRICES)


def test_the_page_that_last_showed_the_listing_gets_the_credit_once():
    shown = shown_frame([page(1, hours=0), page(2, hours=2), page(3, hours=3, items=["chair"])])
    found = credited(
        shown,
        events_of(
            event("click", "sofa", hours=1),
            event("click", "lamp", hours=4),
            event("click", "lamp", hours=5),
            event("purchase", "lamp", hours=6, quantity=2, price=30.0),
            event("purchase", "chair", hours=7),
            event("click", "sofa", hours=40),  # too late
            event("impression", "sofa", hours=2.5),  # nobody chose it
            event("click", "chair", hours=5, user="bob"),  # somebody else
        ),
    )
    told = found.set_index(["page_id", tables.ITEM_ID])[["clicks", "purchases", "revenue"]]
    assert told.loc[("p1", "sofa")].tolist() == [1.0, 0.0, 0.0]
    assert told.loc[("p1", "lamp")].tolist() == [0.0, 0.0, 0.0]
    assert told.loc[("p2", "sofa")].tolist() == [0.0, 0.0, 0.0]
    assert told.loc[("p2", "lamp")].tolist() == [1.0, 1.0, 60.0]
    assert told.loc[("p3", "chair")].tolist() == [1.0, 1.0, 80.0]  # the listing's own price


def test_a_young_page_takes_its_own_clicks_and_is_not_told_of_yet():
    shown = shown_frame([page(1, hours=0), page(2, hours=15), page(3, hours=26)])
    events = events_of(
        event("click", "sofa", hours=1),
        event("purchase", "lamp", hours=16),  # of the second page, within a day of the first
    )
    told = by_page(shown, events, now=START + timedelta(hours=25))
    assert told["clicks"].to_dict() == {"p1": 1.0}
    assert told["revenue"].to_dict() == {"p1": 0.0}
    later = by_page(shown, events, now=START + timedelta(hours=39))
    assert later["revenue"].to_dict() == {"p1": 0.0, "p2": 40.0}


def test_a_visitor_without_a_user_is_credited_by_the_visit():
    shown = shown_frame(
        [page(1, hours=0, user=None, session="v1"), page(2, hours=0, user=None, session=None)]
    )
    assert set(shown["page_id"]) == {"p1"}
    found = credited(shown, events_of(event("click", "sofa", hours=1, user="anon", session="v1")))
    assert found["clicks"].tolist() == [1.0, 0.0]


def test_an_event_after_signing_in_is_credited_to_one_page_alone():
    """It is an event of the user and of the visit, and a page was shown to each."""
    shown = shown_frame(
        [page(1, hours=0, user=None, session="v1"), page(2, hours=1, session="v1", items=["sofa"])]
    )
    found = credited(
        shown,
        events_of(
            event("purchase", "sofa", hours=2, session="v1"),
            event("purchase", "lamp", hours=3, session="v1"),
        ),
    )
    told = found.set_index(["page_id", tables.ITEM_ID])["revenue"]
    assert told.to_dict() == {("p1", "sofa"): 0.0, ("p1", "lamp"): 40.0, ("p2", "sofa"): 700.0}


def test_a_units_outcomes_are_those_of_its_time_and_its_past_is_before_the_first_page():
    shown = shown_frame(
        [
            page(1, hours=0),
            page(2, hours=30),
            page(3, hours=100),  # after ann's time
            page(4, hours=1, user="bob", variant="new"),
            page(5, hours=95, user="cid"),  # not over yet
            page(6, hours=2, user="dee"),
            page(7, hours=3, user="dee", variant="new"),  # moved
        ]
    )
    found = units_of(
        "x",
        shown,
        events_of(
            event("click", "sofa", hours=-10),
            event("purchase", "lamp", hours=-47, price=10.0),
            event("click", "lamp", hours=-49),  # before the past that counts
            event("click", "sofa", hours=1),
            event("purchase", "lamp", hours=31),
            event("purchase", "sofa", hours=101),
            event("purchase", "chair", hours=5, user="bob"),  # not shown, bought all the same
        ),
        window=timedelta(hours=48),
        now=START + timedelta(hours=120),
    )
    assert (found.unfinished, found.moved) == (1, 1)
    assert found.dealt == {"control": 2, "new": 1}
    ann, bob = found.table.to_dict("records")
    assert (ann["unit"], ann["variant"]) == ("user:ann", "control")
    assert (ann["impressions"], ann["clicks"]) == (4.0, 2.0)
    assert (ann["bought"], ann["revenue"]) == (1.0, 40.0)
    assert (ann["clicks_before"], ann["bought_before"], ann["revenue_before"]) == (2.0, 1.0, 10.0)
    assert (bob["clicks"], bob["bought"], bob["revenue"]) == (0.0, 1.0, 80.0)
    assert bob["revenue_before"] == pytest.approx(0.0)


def looked_at(pages, *events, hours):
    """The units as they are so many hours after the start, in a test of 48 hours."""
    return units_of(
        "x",
        shown_frame(pages),
        events_of(*events) if events else events_of(event("click", "sofa", hours=0, user="no")),
        window=timedelta(hours=48),
        now=START + timedelta(hours=hours),
    )


def test_a_look_later_changes_no_unit_that_is_finished():
    pages = [
        page(1, hours=0),
        page(2, hours=47),
        page(3, hours=60, variant="new"),  # after ann's time: she has not moved
        page(4, hours=61, user="bob"),
    ]
    events = [event("click", "sofa", hours=1), event("purchase", "lamp", hours=50)]
    soon, late = (looked_at(pages, *events, hours=hours) for hours in (48, 1_000))
    assert late.table.iloc[:1].equals(soon.table)
    assert soon.table["clicks"].tolist() == [1.0]
    assert soon.moved == late.moved == 0


def test_nothing_later_than_the_look_is_looked_at():
    pages = [page(1, hours=0), page(2, hours=30, variant="new"), page(3, hours=31, user="bob")]
    found = looked_at(pages, event("click", "sofa", hours=25), hours=20)
    assert (found.dealt, found.moved, found.unfinished) == ({"control": 1}, 0, 1)


def test_before_the_first_page_and_without_events_there_are_no_units():
    for pages in ([], [page(1, hours=0)]):
        found = looked_at(pages, event("click", "sofa", hours=1), hours=2)
        assert (len(found.table), found.unfinished) == (0, len(pages))
    none = looked_at([page(1, hours=0)], hours=72)
    assert none.table["clicks"].tolist() == [0.0]


def test_an_event_of_who_signed_in_counts_for_the_user_alone_once_a_page_was_seen_as_the_user():
    pages = [
        page(1, hours=0, user=None, session="v1"),
        page(2, hours=2, user="ann", variant="new"),
        page(3, hours=0, user=None, session="v2"),  # bob sees no page as bob
    ]
    found = looked_at(
        pages,
        event("purchase", "lamp", hours=1, session="v1"),  # named ann, who had seen no page yet
        event("purchase", "sofa", hours=3, session="v1"),
        event("purchase", "lamp", hours=3, user="bob", session="v2"),
        hours=100,
    ).table.set_index("unit")
    assert found["revenue"].to_dict() == {
        "session:v1": 40.0,
        "session:v2": 40.0,
        "user:ann": 700.0,
    }
    assert found["clicks"].to_dict() == {"session:v1": 1.0, "session:v2": 1.0, "user:ann": 1.0}
