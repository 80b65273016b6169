"""`coldstart experiment` on a log of explored pages whose truth is known."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from coldstart_models.experiments.bucketing import Experiment, Variant
from coldstart_models.exploration.exploring import seed_of
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.policy import Arms
from coldstart_models.exploration.propensity import draw_slots, page_chances
from feature_repo.home import Home
from feature_repo.page_log import PageLog, ServedPage, read_pages
from validation import tables

START = datetime(2026, 3, 1, tzinfo=UTC)
LATER = "2026-04-01"
ARMS = Arms(np.array([1.0, 0.9, 0.5, 0.0]), np.diag([0.05, 0.4, 0.1, 0.8]))
CLICKED = np.array([0.05, 0.15, 0.30, 0.60])
"""The scorer has it the wrong way round."""
LOGGED = LinUCB(floor=0.6)
USERS = 400
CONFIG = """
[experiment]
name = "x"
window_days = 7
planned_users = 400
variants = [{name = "control"}, {name = "linucb", policy = "linucb"}]
"""
TEST = Experiment("x", (Variant("control"), Variant("linucb")), salt="x")


@pytest.fixture
def logged(coldstart, tmp_path):
    """Four pages a user, three of whose places are not drawn; clicks by CLICKED."""
    home = Home(tmp_path / "state")
    home.items.parent.mkdir(parents=True)
    ids = [f"arm-{number}" for number in range(4)] + ["top"]
    items = pd.DataFrame({"item_id": ids, "price": 50.0, "source": "s", "title": ids})
    pq.write_table(tables.ITEMS.to_arrow(items), home.items)
    log, rng, events = PageLog(home), np.random.default_rng(0), []
    for number in range(USERS):
        user = f"u{number}"
        variant = TEST.variant_of(user)
        for visit in range(4):
            page_id, when = f"{user}-{visit}", START + timedelta(hours=number % 24, days=visit)
            (one,) = draw_slots(LOGGED, ARMS, slots=1, rng=np.random.default_rng(seed_of(page_id)))
            log.keep(
                ServedPage(
                    page_id=page_id,
                    served_at=when,
                    user_id=user,
                    session_id=None,
                    model="m:1",
                    policy=LOGGED.policy_id,
                    experiment="x",
                    variant=variant.name,
                    personal=None,
                    item_ids=("top", f"arm-{one.arm}"),
                    propensities=(1.0, one.propensity),
                    explored=(2,),
                    drawn=(one.arm,),
                    arm_ids=tuple(ids[:4]),
                    arm_scores=ARMS.scores,
                    arm_directions=ARMS.directions,
                )
            )
            if rng.random() < CLICKED[one.arm]:
                events.append((user, f"arm-{one.arm}", "click", when + timedelta(minutes=5)))
            if variant.name == "linucb" and rng.random() < 0.3:
                events.append((user, "top", "purchase", when + timedelta(minutes=9)))
    columns = ["user_id", "item_id", "event_type", "event_timestamp"]
    frame = pd.DataFrame(events, columns=columns).assign(source="s")
    frame["event_id"] = [f"e{number}" for number in range(len(frame))]
    pq.write_table(tables.EVENTS.to_arrow(frame), home.events)
    (tmp_path / "coldstart.toml").write_text(CONFIG)
    return home


def test_the_log_is_read_as_it_was_written(logged):
    pages = list(read_pages(logged))
    assert len(pages) == 4 * USERS
    first = pages[0]
    assert first.arm_scores == pytest.approx(ARMS.scores)
    assert first.arm_directions == pytest.approx(ARMS.directions, rel=1e-3)
    assert first.propensities[1] == pytest.approx(
        page_chances(LOGGED, ARMS, first.drawn, rng=np.random.default_rng(0))[0, first.drawn[0]]
    )
    recent = list(read_pages(logged, since=START + timedelta(days=2)))
    assert 0 < len(recent) < len(pages)


def test_the_value_of_another_policy_is_told_from_the_log(logged, coldstart):
    code, out, err = coldstart(
        *("experiment", "value", "--policy", "greedy", "--floor", "0.2"),
        *("--as-of", LATER, "--json"),
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    outside = np.full(4, 0.05)
    truth = float((outside + 0.8 * np.eye(4)[0]) @ CLICKED)
    bought = 0.15  # half the people buy from .3 of their pages, whatever was drawn
    assert found["pages"] == 4 * USERS
    for one in found["estimates"]:
        assert one["low"] < truth + bought < one["high"]
    was = float(page_chances(LOGGED, ARMS, (0,), rng=np.random.default_rng(0))[0] @ CLICKED)
    assert found["logged"]["low"] < was + bought < found["logged"]["high"]
    assert 150 < found["effective_pages"] < 4 * USERS
    assert found["enough"]

    code, out, _ = coldstart(
        *("experiment", "value", "--policy", "greedy", "--as-of", LATER),
        *("--since", (START + timedelta(days=3, hours=20)).isoformat()),
    )
    assert "that is too little" in out

    code, out, _ = coldstart("experiment", "value", "--policy", "thompson", "--as-of", LATER)
    assert code == 0
    assert "thompson(draws=256,width=1,floor=0.1)" in "".join(out.split())
    assert "pages of the new policy" in out


def test_the_report_tells_what_differs_and_what_does_not(logged, coldstart):
    code, out, err = coldstart("experiment", "report", "--as-of", LATER, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert sum(found["dealt"].values()) == USERS
    assert found["users"] == found["dealt"]
    by_metric = {one["metric"]: one for one in found["differences"]}
    assert by_metric["CVR"]["control_mean"] == 0.0
    assert by_metric["CVR"]["told"]
    assert by_metric["revenue per user"]["variant_mean"] == pytest.approx(4 * 0.3 * 50, rel=0.2)
    assert by_metric["CTR"]["told"]  # who buys, chose

    code, out, _ = coldstart("experiment", "report", "--as-of", LATER)
    assert code == 0
    assert "the sizes fit the weights" in out
    assert "revenue" in out


def test_the_report_waits_for_the_users_time_to_be_over(logged, coldstart):
    code, _, err = coldstart("experiment", "report", "--as-of", "2026-03-05")
    assert code == 2
    assert "too few users whose time is over" in err
    assert "400 are still within their time" in err


def test_a_log_that_loses_one_variant_is_reported_with_exit_code_3(logged, coldstart, tmp_path):
    path = logged.served / "pages.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [one for one in lines if one["variant"] == "linucb" or one["user_id"][-1] in "01234"]
    path.write_text("".join(json.dumps(one) + "\n" for one in kept))
    code, out, _ = coldstart("experiment", "report", "--as-of", LATER)
    assert code == 3
    assert "do not fit the weights" in out


def test_a_log_that_has_lost_pages_is_reported_with_exit_code_3(logged, coldstart):
    (logged.served / "lost_pages.json").write_text('{"x": 12, "another": 3}')
    code, out, _ = coldstart("experiment", "report", "--as-of", LATER)
    assert code == 3
    told = " ".join(out.split())
    assert "has lost 12 pages of this experiment" in told
    assert "page_log_gib" in told
    code, out, _ = coldstart("experiment", "report", "--as-of", LATER, "--json")
    assert code == 3
    assert json.loads(out)["lost_pages"] == 12


def test_before_the_first_page_there_is_too_little_to_tell(logged, coldstart):
    (logged.served / "pages.jsonl").unlink()
    code, _, err = coldstart("experiment", "report", "--as-of", LATER)
    assert code == 2
    assert "too few users whose time is over: control (0), linucb (0)" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["report"], "no experiment is named"),
        (["value", "--policy", "linucb"], "no catalogue and events"),
        (["value", "--policy", "ucb"], "'ucb' is not one of"),
        (["value"], "Missing option '--policy'"),
    ],
)
def test_mistakes_are_told_in_one_line(coldstart, arguments, told):
    code, _, err = coldstart("experiment", *arguments)
    assert code == 2
    assert told in err
    assert err.count("\n") == 1


def test_a_line_that_is_no_page_is_named(logged, coldstart):
    with (logged.served / "pages.jsonl").open("a") as lines:
        lines.write('{"page_id": "p"}\n')
    code, _, err = coldstart("experiment", "report")
    assert code == 2
    assert f"line {4 * USERS + 1} is no served page" in err


def test_without_explored_pages_there_is_no_value(logged, coldstart):
    (logged.served / "pages.jsonl").unlink()
    code, _, err = coldstart("experiment", "value", "--policy", "linucb")
    assert code == 2
    assert "no explored page is old enough" in err
