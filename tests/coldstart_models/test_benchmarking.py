import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from coldstart_models import benchmarking
from coldstart_models.benchmarking import benchmark
from coldstart_models.data.splits import cutoff_split, random_items_split
from coldstart_models.errors import ConfigError, ModelError, NotEnoughData
from coldstart_models.evaluation_plots import personal_plot
from coldstart_models.metrics import USER_METRICS
from coldstart_models.models import build_ranker
from coldstart_models.ranker import RankingTask
from coldstart_models.reliability import among
from coldstart_models.siamese.ranker import SiameseRanker
from tests.coldstart_models.checkerboard import (
    COLD,
    CUTOFF,
    USERS,
    WARM,
    board,
    board_rows,
    interactions_of,
)
from tests.coldstart_models.peers.test_contract import board_truth

PEERS = ("random", "popularity", "content-knn-tfidf", "content-knn", "oracle")


def on_board(*, rows=None, models=PEERS, shots=(0, 1, 3), seeds=1, random_items=None, **options):
    catalogue = board()
    interactions = interactions_of(rows or board_rows(), catalogue)
    split = partial(cutoff_split, catalogue, interactions, CUTOFF, dated=True)
    splits = lambda seed: split()  # noqa: E731
    if random_items:
        splits = lambda seed: random_items_split(  # noqa: E731
            catalogue, interactions, random_items, seed=seed, timed=True, dated=True
        )
    return benchmark(
        source="board",
        catalogue=catalogue,
        interactions_split=splits,
        models=models,
        shots=shots,
        seeds=seeds,
        **options,
    )


class FewShot:
    """Ranks by how like the supporters' group the user's group is: perfect with support only."""

    name = "siamese+meta"
    seen_shots: list[int] = []  # noqa: RUF012

    def fit(self, training, *, seed):
        self.group = np.array([user[0] for user in training.interactions.user_ids])

    def score(self, task: RankingTask):
        scores = np.zeros((len(task.user_index), len(task.candidates)), np.float32)
        if task.support is None:
            return scores
        per_item = np.bincount(np.searchsorted(task.candidates, task.support.item_index))
        self.seen_shots.append(int(per_item.max()))
        assert (per_item == per_item[0]).all()
        for item, user in zip(task.support.item_index, task.support.user_index, strict=True):
            column = np.searchsorted(task.candidates, item)
            scores[:, column] += self.group[task.user_index] == self.group[user]
        return scores


def with_few_shot(name, **options):
    return FewShot() if name == FewShot.name else build_ranker(name, **options)


def test_content_finds_the_whole_truth_of_the_board():
    found = on_board(truth=board_truth())
    assert (found.num_users, found.num_candidates) == (2 * USERS, 2 * COLD)
    for model in ("content-knn-tfidf", "content-knn", "oracle"):
        row = found.row(model)
        assert (row.recall, row.ndcg, row.mrr, row.auc, row.coverage) == (1, 1, 1, 1, 1)
        assert row.interval == dict.fromkeys(USER_METRICS, (1.0, 1.0))


def test_popularity_is_blind_to_whose_board_it_is():
    # Every warm item is as popular as any other: all candidates tie, the AUC is one half.
    row = on_board(models=("popularity",)).row("popularity")
    assert row.auc == pytest.approx(0.5, abs=1e-4)
    assert row.recall == 1.0  # 20 places for 10 candidates


def test_rows_are_one_per_model_shots_and_pool_and_the_json_has_the_promised_keys():
    found = on_board(truth=board_truth()).as_dict()
    assert {"source", "split", "num_users", "num_candidates", "seeds", "results"} <= set(found)
    assert found["split"] == "cutoff 2024-04-10"
    rows = found["results"]
    keys = [(row["pool"], row["shots"]) for row in rows if row["model"] == "content-knn"]
    # Nobody chooses a known warm item for the first time after the cutoff: no warm pool.
    assert keys == [
        ("cold", 0),
        ("cold>1", 0),
        ("cold>1", 1),
        ("cold>3", 0),
        ("cold>3", 3),
        ("month", 0),
        ("full", 0),
    ]
    assert len(rows) == len(keys) * len(PEERS)
    assert {"recall@20", "ndcg@10", "mrr", "auc", "coverage", "interval"} <= set(rows[0])


def test_models_without_adaptation_score_alike_with_and_without_support():
    found = on_board()
    for model in found.models:
        zero = found.row(model, pool="cold>3").as_dict()
        three = found.row(model, shots=3, pool="cold>3").as_dict()
        assert {**zero, "shots": 3} == three


def test_support_is_shown_to_the_few_shot_model_and_leaves_the_users_who_gave_it():
    FewShot.seen_shots.clear()
    found = on_board(models=("siamese+meta",), build=with_few_shot)
    zero = found.row("siamese+meta", pool="cold>3")
    three = found.row("siamese+meta", shots=3, pool="cold>3")
    assert zero.auc == 0.5
    assert three.auc == three.ndcg == 1.0
    assert sorted(set(FewShot.seen_shots)) == [1, 3]
    # The first three users of every item of a group are the same three: they leave.
    assert three.num_users == zero.num_users == 2 * (USERS - 3)
    assert three.num_candidates == 2 * COLD


def test_a_model_that_cannot_be_had_is_left_out_with_its_reason():
    found = on_board(models=("random", "content-knn-image", "oracle"))
    assert found.models == ["random"]
    reasons = {one.what: one.reason for one in found.skipped}
    assert "none of the 24 warm items" in reasons["content-knn-image"]
    assert "choice model" in reasons["oracle"]


def test_nothing_measured_is_an_error():
    with pytest.raises(NotEnoughData, match="no model could be measured on board: oracle"):
        on_board(models=("oracle",))


def test_a_seed_that_leaves_nothing_to_measure_is_left_out_and_the_others_count():
    catalogue = board()
    interactions = interactions_of(board_rows(), catalogue)

    def split_of(seed):
        if seed in (0, 2):
            raise NotEnoughData(f"no event on a cold item by seed {seed}")
        return random_items_split(catalogue, interactions, 0.3, seed=seed, timed=True, dated=True)

    asked = {"source": "board", "catalogue": catalogue, "interactions_split": split_of}
    found = benchmark(**asked, models=("random", "siamese"), shots=(0,), seeds=4)
    assert found.row("random").ndcg > 0
    assert found.personal  # of the first seed that there is
    reasons = {one.what: one.reason for one in found.skipped}
    assert reasons["seed 0"] == "no event on a cold item by seed 0"
    assert {what for what in reasons if what.startswith("seed")} == {"seed 0", "seed 2"}
    with pytest.raises(NotEnoughData, match="by seed 0"):
        benchmark(**asked, models=("random",), shots=(0,), seeds=1)


def test_where_nobody_else_chose_anything_there_is_no_lift_and_the_json_is_json(recwarn):
    alone = next(row[0] for row in board_rows())
    pairs = [row for row in board_rows() if row[2] < 99 or row[0] == alone]
    found = on_board(rows=pairs, models=("siamese",), shots=(0,))
    assert found.row("siamese").num_users == 1
    assert {point.lift for point in found.personal} == {None}
    json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert "<svg" in personal_plot(found)
    assert not [one for one in recwarn if "empty slice" in str(one.message)]


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'random'"):
        on_board(models=("randon",))
    with pytest.raises(ConfigError, match="not -1"):
        on_board(shots=(0, -1))
    with pytest.raises(ConfigError, match="at least one seed"):
        on_board(seeds=0)


def test_a_model_with_a_score_that_is_no_number_is_named():
    class Broken(FewShot):
        name = "random"

        def score(self, task):
            return np.full((len(task.user_index), len(task.candidates)), np.nan, np.float32)

    with pytest.raises(ModelError, match="'random' must give finite scores"):
        on_board(models=("random",), build=lambda name, **options: Broken())


def test_deterministic_models_are_fitted_once_where_the_split_has_no_seed():
    fits = []

    def counting(name, **options):
        fits.append(name)
        return build_ranker(name, **options)

    found = on_board(models=("random", "content-knn-tfidf"), seeds=3, build=counting)
    assert sorted(fits) == ["content-knn-tfidf", "random", "random", "random"]
    assert found.seeds == 3
    fits.clear()
    on_board(models=("content-knn-tfidf",), seeds=3, build=counting, random_items=0.3)
    assert fits == ["content-knn-tfidf"] * 3


def test_random_items_rank_held_out_items_by_all_other_events():
    found = on_board(models=("content-knn-tfidf",), random_items=0.3, seeds=2)
    assert found.row("content-knn-tfidf").auc == 1.0
    assert found.num_candidates == round(0.3 * 2 * (WARM + COLD))
    assert "warm" in {one.what for one in found.skipped}


def test_events_from_the_cutoff_on_change_no_ranking(tmp_path):
    """More buyers of a known cold item after the cutoff: the same first places as before."""
    rows = board_rows()
    more = [*rows, *((f"b-user{n:02}", "a13", 101.5) for n in range(USERS))]
    frames = []
    for name, log in (("before", rows), ("after", more)):
        path = tmp_path / f"{name}.parquet"
        on_board(rows=log, rankings=path, shots=(0,))
        frame = pd.read_parquet(path)
        frames.append(frame[frame["pool"].isin(["cold"])].reset_index(drop=True))
    pd.testing.assert_frame_equal(frames[0], frames[1])


def test_rankings_can_be_scored_again(tmp_path):
    path = tmp_path / "deep" / "rankings.parquet"
    found = on_board(rankings=path, shots=(0, 1))
    frame = pd.read_parquet(path)
    assert list(frame.columns) == [
        "model", "shots", "pool", "seed", "user_id", "item_id", "rank", "score",
    ]  # fmt: skip
    part = frame.query("model == 'random' and pool == 'cold>1' and shots == 1")
    truth = {
        (user, item) for user, item, day in board_rows() if day >= 100 and user[-6:] != "user00"
    }
    hits = [pair in truth for pair in zip(part["user_id"], part["item_id"], strict=True)]
    firsts = part[hits].groupby("user_id")["rank"].min()
    row = found.row("random", shots=1, pool="cold>1")
    assert (1 / firsts).mean() == pytest.approx(row.mrr, abs=1e-5)
    # Supporters do not rank what they support.
    assert not part["user_id"].str.endswith("user00").any()
    assert not list(path.parent.glob(".*"))


def test_progress_counts_every_fit():
    steps = []
    on_board(
        models=("random", "popularity"),
        seeds=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]


def groups_of(found, by, *, model="content-knn-tfidf"):
    return {one.group: one for one in found.breakdowns if (one.by, one.model) == (by, model)}


def test_breakdowns_by_history_count_every_user():
    found = on_board(models=("content-knn-tfidf",))
    assert [(name, one.recall, one.count) for name, one in groups_of(found, "history").items()] == [
        ("5–19", 1.0, 2 * USERS)
    ]
    assert groups_of(found, "domain") == {}  # there is one domain


def test_a_model_that_can_be_steered_is_measured_from_the_general_to_the_personal():
    found = on_board(models=("popularity", "siamese"), shots=(0,))
    points = [point for point in found.personal if point.model == "siamese"]
    assert points == found.personal  # popularity cannot be steered
    assert [point.personal for point in points] == sorted({point.personal for point in points})
    (own,) = (point for point in points if point.own)
    row = found.row("siamese")
    assert (own.ndcg, own.recall, own.coverage) == (row.ndcg, row.recall, row.coverage)
    assert points[0].personal == 0.0
    assert points[0].ndcg < own.ndcg == 1.0
    # Every cold item is chosen by as many, so nothing leans to the popular.
    assert [point.lift for point in points] == pytest.approx([1.0] * len(points))


def test_the_control_is_measured_with_most_first_customers_known_as_well():
    found = on_board(models=("siamese", "siamese+meta"), shots=(0, 1, 3))
    curves = dict.fromkeys((one.model, one.pool, one.shots) for one in found.personal)
    assert list(curves) == [
        ("siamese", "cold", 0),
        ("siamese+meta", "cold", 0),
        ("siamese+meta", "cold>3", 3),
    ]
    (own,) = (one for one in found.personal if one.shots and one.own)
    row = found.row("siamese+meta", shots=3, pool="cold>3")
    assert (own.ndcg, own.recall) == (row.ndcg, row.recall)
    assert own.as_dict()["pool"] == "cold>3"
    assert "siamese+meta, 3 first customers" in personal_plot(found)


def test_a_model_that_leans_away_from_what_sells_is_measured_beside_the_control(monkeypatch):
    """Its own score is no place's, and that of the person alone is measured as well."""
    taught = SiameseRanker.fit

    def fit(self, training, *, seed):
        taught(self, training, seed=seed)
        self._model.network.scorer.prior_weight.data.fill_(-3.0)

    monkeypatch.setattr(SiameseRanker, "fit", fit)
    found = on_board(models=("siamese",), shots=(0,))
    *steps, own = found.personal
    assert [point.personal for point in steps] == list(benchmarking.STEPS)
    assert not any(point.own for point in steps)
    assert own.own
    assert own.personal is None
    assert own.as_dict()["personal"] is None
    assert own.ndcg == found.row("siamese").ndcg
    assert "<svg" in personal_plot(found)


def test_a_model_is_measured_at_its_own_place_once(monkeypatch):
    asked = []
    real = SiameseRanker.score

    def score(self, task):
        asked.append(task)
        return real(self, task)

    monkeypatch.setattr(SiameseRanker, "score", score)
    found = on_board(models=("siamese",), shots=(0,))
    assert any(point.own for point in found.personal)
    assert len(asked) == len(found.results)  # once a pool


def test_chances_are_held_against_choices_of_no_more_users_than_memory_has_room_for(monkeypatch):
    asked = []
    real = SiameseRanker.log_chances

    def log_chances(self, task):
        asked.append(list(task.user_index))
        return real(self, task)

    monkeypatch.setattr(SiameseRanker, "log_chances", log_chances)
    (whole,) = on_board(models=("siamese",), shots=(0,)).reliability
    monkeypatch.setattr(benchmarking, "CHANCES_AT_ONCE", 10 * 2 * COLD)
    (some,) = on_board(models=("siamese",), shots=(0,)).reliability
    assert (whole.users, some.users) == (2 * USERS, 10)
    assert asked == [list(range(2 * USERS)), list(range(0, 2 * USERS, 3))]
    assert some.as_dict()["num_users"] == 10


def test_chances_with_first_customers_are_told_beside_those_without_on_one_pool():
    whole = on_board(models=("siamese", "siamese+meta"), shots=(0, 1, 3))
    found = whole.reliability
    told = [(one.model, one.pool, one.shots) for one in found]
    assert told == [
        ("siamese", "cold", 0),
        ("siamese+meta", "cold", 0),
        ("siamese+meta", "cold>1", 0),
        ("siamese+meta", "cold>1", 1),
        ("siamese+meta", "cold>3", 0),
        ("siamese+meta", "cold>3", 3),
    ]
    assert [(one.model, one.items) for one in whole.demand] == [
        ("siamese", 2 * COLD),
        ("siamese+meta", 2 * COLD),
    ]
    without, known = found[-2:]
    assert known.gain > without.gain  # pairs that are not ranked have no share in either
    assert known.users == without.users == 2 * (USERS - 3)
    assert 0.0 <= known.own_said <= without.own_said  # customers tell something of it
    assert known.own_found >= 0.0
    assert known.as_dict() | {"pool": "cold>3", "shots": 3} == known.as_dict()


def test_what_is_not_ranked_for_a_person_has_no_share_of_the_chances():
    log_chances = np.log(np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], np.float32))
    ranked = np.array([[True, True, True], [False, True, True]])
    found = np.exp(among(log_chances, ranked))
    np.testing.assert_allclose(found, [[0.5, 0.3, 0.2], [0.0, 0.6, 0.4]], atol=1e-6)


def test_a_cell_of_warm_items_is_ranked_by_itself():
    # Three items of each group are chosen by two users before the cutoff, by the others after it.
    late = [
        (user, item, 110.0 if item[1:] in ("09", "10", "11") and user[-2:] > "01" else day)
        for user, item, day in board_rows()
    ]
    # One more is chosen late by one user alone.
    late = [
        (user, item, 111.0 if (user, item) == ("a-user14", "a00") else day)
        for user, item, day in late
    ]
    found = on_board(rows=late, models=("content-knn-tfidf", "random"), shots=(0,))
    ours = groups_of(found, "warmth", model="content-knn-tfidf")
    everyone = 2 * USERS
    assert {name: one.count for name, one in ours.items()} == {
        "new": everyone,
        "1–5": everyone - 4,
        "6–20": 1,
    }
    # Among six candidates, three of each group, the own three stand first.
    assert ours["1–5"].ndcg == 1.0
    by_chance = groups_of(found, "warmth", model="random")["1–5"]
    assert by_chance.ndcg < 0.9
    assert by_chance.recall == 1.0  # six candidates fit in twenty


def test_people_who_chose_in_other_domains_alone_are_told_apart():
    catalogue = board()
    clothing = [int(item_id[1:]) < 6 for item_id in catalogue.item_ids]
    frame = catalogue.frame.assign(domain=np.where(clothing, "clothing", "home"))
    catalogue = replace(catalogue, frame=frame)
    strangers = ("a-user03", "b-user04", "b-user05")
    rows = [
        (user, item, day)
        for user, item, day in board_rows()
        if user not in strangers or int(item[1:]) < 6 or day >= 100
    ]
    interactions = interactions_of(rows, catalogue)
    found = benchmark(
        source="board",
        catalogue=catalogue,
        interactions_split=lambda seed: cutoff_split(catalogue, interactions, CUTOFF, dated=True),
        models=("content-knn-tfidf",),
        shots=(0,),
    )
    assert {name: (one.ndcg, one.count) for name, one in groups_of(found, "domain").items()} == {
        "has chosen in it": (1.0, 2 * USERS - 3),
        "only in other domains": (1.0, 3),
    }
