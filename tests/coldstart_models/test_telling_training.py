"""What `coldstart train` and `coldstart meta-train` print of what they did."""

import pytest

from coldstart_models.commands.train import tell, tell_place
from coldstart_models.training_job import TrainResult


def told(capsys: pytest.CaptureFixture[str], *checks: tuple[int, float], log_events: int) -> str:
    tell(
        TrainResult(
            tag="coldstart-siamese:one",
            stage="train",
            items=7,
            users=40,
            events=90,
            log_events=log_events,
            kept_step=checks[-1][0] if checks else 0,
            checks=checks,
            adapted=0,
        ),
        json=False,
    )
    return " ".join(capsys.readouterr().out.split())


def test_a_training_that_learned_tells_its_quality_by_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = told(capsys, (0, 0.125), (20, 0.25), log_events=90)
    assert "coldstart-siamese:one" in text
    assert "NDCG@10 on later items by step: 0: 0.1250, 20: 0.2500" in text
    assert "no step was learned" not in text
    assert "people who were drawn" not in text


def test_a_training_tells_where_it_lies_between_the_general_and_the_personal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    curve = {"learned": 0.2, "0.5": 0.25, "1.0": 0.125}
    for learned, kept, line in (
        (0.93, 0.93, "0.5: 0.2500, 1.0: 0.1250; learned 0.93: 0.2000"),
        (None, 0.5, "learned beyond 1: 0.2000, moved to 0.50"),
    ):
        tell_place({"learned": learned, "kept": kept, "validation_ndcg@10": curve})
        text = " ".join(capsys.readouterr().out.split())
        assert line in text
        assert ("moved" in text) == (learned != kept)


def test_a_training_of_too_few_people_says_that_no_step_was_learned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = told(capsys, log_events=1_000)
    assert "no step was learned: too few people or items" in text
    assert "learned from 90 of the log's 1,000 choices" in text
