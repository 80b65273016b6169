"""`coldstart evaluate` on a small shop, before and after it has a model."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from coldstart_models.errors import ConfigError
from coldstart_models.training_job import train_job
from feature_repo.home import HOME_VARIABLE, Home
from feature_repo.store import Store
from tests.coldstart_models.test_training_job import dated_shop, home_of, unordered_shop
from tests.feature_repo.samples import NOW


@pytest.fixture
def home(coldstart, monkeypatch, tmp_path: Path) -> Home:
    home = home_of(unordered_shop(), tmp_path / "few")
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    return home


def evaluated(coldstart) -> tuple[dict[str, object], str]:
    code, out, err = coldstart(
        *("evaluate", "--random-items", "0.2", "--models", "random,popularity", "--shots", "0"),
        *("--json", "result.json", "--report", "report.html"),
    )
    assert code == 0, err
    return json.loads(Path("result.json").read_text()), Path("report.html").read_text() + out + err


def test_without_a_model_the_report_has_every_number_and_says_why_no_examples(
    coldstart, home: Home
) -> None:
    result, told = evaluated(coldstart)
    assert {row["model"] for row in result["results"]} == {"random", "popularity"}
    why = f"no model in {home.models}; run `coldstart train`"
    assert {"what": "examples", "reason": why} in result["skipped"]
    assert "<h2>Examples</h2>" not in told
    assert told.count("run `coldstart train`") == 2


def test_a_model_whose_features_are_not_applied_loses_the_examples_alone(
    coldstart, home: Home
) -> None:
    train_job(home=home, now=NOW)
    home.registry.unlink()
    result, told = evaluated(coldstart)
    assert {row["model"] for row in result["results"]} == {"random", "popularity"}
    (why,) = (one["reason"] for one in result["skipped"] if one["what"] == "examples")
    assert "coldstart apply" in why
    assert "<h2>Examples</h2>" not in told


def test_as_of_a_date_nothing_later_is_measured(coldstart, monkeypatch, tmp_path: Path) -> None:
    home = home_of(dated_shop(), tmp_path / "dated")
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    asked = ("evaluate", "--cutoff", "2023-10-15", "--models", "random", "--shots", "0")
    code, _, err = coldstart(*asked, "--as-of", "2023-10-14")
    assert (code, "the log runs from 2023-10-01 to 2023-10-14" in err) == (2, True), err
    code, _, err = coldstart(*asked)
    assert (code, "the log runs from 2023-10-01 to 2023-11-09" in err) == (2, True), err


def test_what_was_measured_is_told_also_where_it_cannot_be_written(
    coldstart, home: Home, monkeypatch
) -> None:
    def full(*given: object) -> None:
        raise ConfigError("the disk is full")

    monkeypatch.setattr("coldstart_models.commands.evaluate.write_json", full)
    asked = ("evaluate", "--random-items", "0.2", "--models", "random", "--shots", "0")
    code, out, err = coldstart(*asked, "--json", "result.json")
    assert (code, err) == (2, "coldstart: the disk is full\n")
    assert "pool cold" in out


@pytest.mark.parametrize("command", ["train", "meta-train"])
def test_training_reads_nothing_later_than_a_present_that_is_named_and_else_all(
    coldstart, monkeypatch, command: str
) -> None:
    def told(*, now: datetime, until: datetime | None, **options: object) -> None:
        raise ConfigError(f"until {until}" + (", now" if until == now else ""))

    job = f"coldstart_models.training_job.{command.replace('-', '_')}_job"
    monkeypatch.setattr(job, told)
    at_a_date = coldstart(command, "--as-of", "2023-10-20")
    assert at_a_date[2] == "coldstart: until 2023-10-20 00:00:00+00:00, now\n"
    assert coldstart(command)[2] == "coldstart: until None\n"


def test_with_a_model_the_report_shows_whom_it_recommends_what(coldstart, home: Home) -> None:
    train_job(home=home, now=NOW)
    result, _ = evaluated(coldstart)
    why = "no history is online; run `coldstart materialize`"
    assert {"what": "examples", "reason": why} in result["skipped"]
    Store(home).materialize()
    result, told = evaluated(coldstart)
    assert "<h2>Examples</h2>" in told
    assert "examples" not in {one["what"] for one in result["skipped"]}
