"""What is asked of a command by an option reaches the job that does it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from coldstart_models.consuming import Batching
from coldstart_models.errors import ConfigError
from feature_repo.jobs.ray_engine import RayCluster

TRAIN = "coldstart_models.training_job.train_job"
META_TRAIN = "coldstart_models.training_job.meta_train_job"
INGEST = "feature_repo.jobs.ingest.ingest"
SOURCE = "feature_repo.catalogs.registry.open_source"
STREAM = "coldstart_models.redis_stream.RedisStream"
BESIDE = (
    SOURCE,
    STREAM,
    "coldstart_models.benchmark_run.read_stored",
    "coldstart_models.event_intake.event_taker",
    "coldstart_models.commands.consume._stopped_by_signals",
)
"""What commands do before the job that is asked; it does nothing here."""
CONSUME = ("consume", "redis://127.0.0.1:1/0")
BENCHMARK = ("benchmark", "--source", "marketplace:small", "--random-items", "0.2")
FIRST, LAST = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 2, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("job", "arguments", "expected"),
    [
        (TRAIN, ("train", "--dates"), {"dates": True}),
        (TRAIN, ("train", "--no-dates"), {"dates": False}),
        (TRAIN, ("train", "--general", "shops"), {"general": Path("shops")}),
        (TRAIN, ("train", "--most-events", "7"), {"most_events": 7}),
        (META_TRAIN, ("meta-train", "--learner", "bayes"), {"learner": "bayes"}),
        (META_TRAIN, ("meta-train", "--most-events", "7"), {"most_events": 7}),
        (
            "feature_repo.jobs.materialize.materialize",
            (
                *("materialize", "--start", "2026-01-02", "--end", "2026-02-03T04:00"),
                *("--view", "user_history", "--view", "item_vector"),
            ),
            {"start": FIRST, "end": LAST, "views": ["user_history", "item_vector"]},
        ),
        (INGEST, ("ingest", "marketplace"), {"replace": False}),
        (INGEST, ("ingest", "marketplace", "--replace"), {"replace": True}),
        (
            SOURCE,
            ("ingest", "table:shop", "--mapping", "ours.toml"),
            {"mapping": Path("ours.toml")},
        ),
        (
            "coldstart_models.benchmark_run.splitter",
            ("evaluate", "--random-items", "0.2", "--domain", "garden"),
            {"domain": "garden"},
        ),
        (
            "coldstart_models.benchmark_run.run_benchmark",
            (*BENCHMARK, "--domain", "garden"),
            {"domain": "garden"},
        ),
        (
            STREAM,
            (*CONSUME, "--stream", "clicks", "--group", "shop", "--consumer", "one"),
            {"stream": "clicks", "group": "shop", "consumer": "one"},
        ),
        (
            "coldstart_models.consuming.consume",
            (*CONSUME, "--max-batch", "7", "--max-wait", "1.5"),
            {"batching": Batching(7, 1.5)},
        ),
        (
            "feature_repo.jobs.extract.extract",
            ("extract", "--compile", "--engine", "ray", "--address", "head:6379"),
            {"compiled": True, "cluster": RayCluster("head:6379", None)},
        ),
        (
            "feature_repo.jobs.extract.extract",
            ("extract", "--no-compile"),
            {"compiled": False, "cluster": None},
        ),
        ("feature_repo.jobs.skew.skew", ("skew", "--limit", "7"), {"limit": 7}),
        (
            "coldstart_models.encoder_comparison.compare",
            ("encoders", "compare", "minilm", "--sample", "7"),
            {"sample": 7},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_option_reaches_the_job(
    coldstart: Any,
    monkeypatch: pytest.MonkeyPatch,
    job: str,
    arguments: tuple[str, ...],
    expected: dict[str, Any],
) -> None:
    received: list[dict[str, Any]] = []

    def told(*given: object, **options: Any) -> None:
        received.append(options)
        raise ConfigError("enough is known")

    for beside in BESIDE:
        monkeypatch.setattr(beside, Mock())
    monkeypatch.setattr(job, told)
    assert coldstart(*arguments)[2].endswith("coldstart: enough is known\n")
    (options,) = received
    assert {name: options[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["--torch", "cuda"]),
        (
            ("--model", "coldstart-siamese:abc", "--torch", "cpu", "--json"),
            ["--torch", "cpu", "--model", "coldstart-siamese:abc", "--json"],
        ),
    ],
    ids=["default", "all"],
)
def test_build_hands_on_what_was_asked_for(
    coldstart: Any, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: list[str]
) -> None:
    asked: list[list[str]] = []

    def ran(command: list[str], **_: object) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(subprocess, "run", ran)
    assert coldstart("build", *arguments)[0] == 3
    assert asked[0][1:] == ["-m", "bentos.recommender.build", *expected]
