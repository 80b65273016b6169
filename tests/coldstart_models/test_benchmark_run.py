import shutil
from datetime import UTC, datetime

import pandas as pd
import pytest

from coldstart_models.benchmark_run import (
    Encoders,
    SplitPlan,
    build_store,
    read_stored,
    run_benchmark,
)
from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.errors import ConfigError
from feature_repo.encoders.encoder import Modality
from feature_repo.home import Home
from tests.coldstart_models.checkerboard import (
    COLD,
    CUTOFF,
    USERS,
    WARM,
    board,
    board_rows,
    events_of,
)
from tests.feature_repo.samples import CountingEncoder

NOW = datetime(2025, 1, 1, tzinfo=UTC)
NO_ENCODERS = Encoders(image=None, text=None)
MODELS = ("random", "content-knn-tfidf")


def write_board(folder, *, dated=True):
    folder.mkdir(parents=True)
    columns = ["item_id", "title", *(["listed_at"] if dated else [])]
    board().frame[columns].to_csv(folder / "items.csv", index=False)
    events = events_of(board_rows()).rename(columns={"event_timestamp": "timestamp"})
    columns = ["user_id", "item_id", "event_type", *(["timestamp"] if dated else [])]
    events[columns].to_csv(folder / "interactions.csv", index=False)


def run(folder, workdir, *, cutoff=None, random_items=None, **options):
    return run_benchmark(
        f"table:{folder}",
        workdir=workdir,
        plan=SplitPlan(cutoff, random_items),
        now=NOW,
        models=MODELS,
        encoders=NO_ENCODERS,
        shots=(0, 1),
        **options,
    )


@pytest.fixture(scope="module")
def board_run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    write_board(root / "board")
    steps = []
    result = run(
        root / "board",
        root / "work",
        cutoff=CUTOFF,
        progress=lambda step: lambda done, total: steps.append(step),
    )
    return root, result, steps


def test_a_benchmark_runs_from_the_source_to_the_metrics(board_run):
    root, result, steps = board_run
    assert (result.source, result.split) == ("board", "cutoff 2024-04-10")
    assert (result.num_users, result.num_candidates) == (2 * USERS, 2 * COLD)
    assert result.row("content-knn-tfidf").auc == 1.0
    assert {"materialize", "benchmark"} <= set(steps)
    home = Home(root / "work")
    assert len(pd.read_parquet(home.events)) == len(board_rows())
    assert home.registry.exists()
    assert home.online_store.exists()


def test_a_folder_is_taken_up_without_reading_the_source_again(board_run, tmp_path):
    root, result, _ = board_run
    moved = tmp_path / "moved"
    shutil.move(root / "board", moved)
    try:
        again = run(root / "board", root / "work", cutoff=CUTOFF)
    finally:
        shutil.move(moved, root / "board")
    assert again.as_dict() == result.as_dict()


def test_of_a_folder_nothing_later_than_the_present_is_read(board_run):
    root, *_ = board_run
    home = Home((root / "work").resolve())
    whole = read_stored(home).events["event_timestamp"]
    middle = whole.sort_values().iloc[len(whole) // 2]
    known = read_stored(home, until=middle.to_pydatetime()).events["event_timestamp"]
    assert known.max() == middle
    assert 0 < len(known) == (whole <= middle).sum() < len(whole)
    early = read_stored(home, until=CUTOFF)
    assert set(early.catalogue.item_ids) == {
        f"{group}{number:02}" for group in "ab" for number in range(WARM + 1)
    }  # the cold ones are listed from the cutoff on, a day apart


def test_a_folder_that_was_made_with_another_encoder_is_measured_with_the_one_asked_for(
    tmp_path, monkeypatch
):
    write_board(tmp_path / "board")
    encoders = {str(n): CountingEncoder(Modality.TEXT, version=str(n)) for n in (1, 2)}
    monkeypatch.setattr(
        "feature_repo.jobs.extract.load_encoder", lambda name, **options: encoders[name]
    )
    home = Home(tmp_path / "work")
    for name, encoder in encoders.items():
        build_store(
            f"table:{tmp_path / 'board'}",
            home=home,
            now=NOW,
            as_of=NOW,
            encoders=Encoders(image=None, text=name),
        )
        assert load_catalogue(home).text.encoder_hash == encoder.hash


def test_a_folder_of_another_source_is_refused(board_run, tmp_path):
    root, _, _ = board_run
    with pytest.raises(ConfigError, match=r"holds table:.*board, not table:.*other"):
        run(tmp_path / "other", root / "work", cutoff=CUTOFF)


def test_a_log_without_dates_needs_random_items(tmp_path):
    write_board(tmp_path / "undated", dated=False)
    with pytest.raises(ConfigError, match=r"--random-items 0\.2"):
        run(tmp_path / "undated", tmp_path / "work", cutoff=CUTOFF)
    result = run(tmp_path / "undated", tmp_path / "work", random_items=0.3)
    assert result.row("content-knn-tfidf").auc == 1.0
    assert {"month", "warm"} <= {one.what for one in result.skipped}


def test_a_plan_is_either_a_cutoff_or_a_share():
    for plan in ({}, {"cutoff": CUTOFF, "random_items": 0.2}):
        with pytest.raises(ConfigError, match="either a cutoff"):
            SplitPlan(**plan)
