"""The recommender on a trained checkerboard: order, filters, explanations, few shots."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import torch

from coldstart_models.errors import ConfigError, UnknownItem
from coldstart_models.explaining import PACE, PLACE, SELLING
from coldstart_models.exploration.budget import ListingBudget
from coldstart_models.exploration.exploring import Explorer
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.propensity import page_chances
from coldstart_models.exploration.thompson import Thompson
from coldstart_models.recommending import Recommender
from coldstart_models.sales import Sales
from coldstart_models.siamese.packing import pack
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.preparing import history_batch, to_vectors
from coldstart_models.siamese.selling import RecentChoices
from coldstart_models.siamese.stages import pretrain
from coldstart_models.siamese.strangers import PopularitySpread
from coldstart_models.siamese.togetherness import TOGETHER
from coldstart_models.snapshot import ITEM_COLUMNS, Snapshot
from coldstart_models.user_history import UserHistory
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.log_state import Position
from tests.coldstart_models.checkerboard import (
    START,
    board_split,
    no_embeddings,
    titled,
)
from validation import tables

DAY_US = 86_400_000_000
HISTORY = UserHistory(
    ("a00", "a03", "b01"),
    ("click", "purchase", "click"),
    tuple(START + timedelta(days=day) for day in range(3)),
)


def history_of(*item_ids):
    days = [START + timedelta(days=day) for day in range(len(item_ids))]
    return UserHistory(item_ids, ("purchase",) * len(item_ids), tuple(days))


@pytest.fixture
def recommender():
    catalogue, split = board_split()
    training = split.training_set(catalogue)
    model = pretrain(training, dates=False, seed=0)
    inputs = model.featurizer(catalogue)
    scorer = model.network.scorer
    with torch.inference_mode():
        factors, prior = model.fitted.items(inputs)
        vectors = scorer.tower(to_vectors(inputs, factors))
        rows = pack(vectors, prior)
        users = np.arange(training.interactions.num_users)
        histories = history_batch(training.interactions.histories(users))
        population = Population.of(scorer.profiles(vectors, histories))
    count = len(catalogue)
    items = catalogue.frame[list(ITEM_COLUMNS)]
    domains = ["home" if item_id != "a16" else "clothing" for item_id in catalogue.item_ids]
    snapshot = Snapshot(
        version=1,
        items=items.assign(**{tables.DOMAIN: domains}),
        rows=rows,
        widths=scorer.widths,
        new=~training.warm,
        deltas=np.zeros((count, rows.shape[1] - 1), np.float32),
        biases=np.zeros(count, np.float32),
        support=np.zeros(count, np.int64),
    )
    return Recommender(
        tag="m:1",
        featurizer=model.featurizer,
        head=model.fitted.head,
        network=model.network,
        population=population,
        snapshot=snapshot,
    )


def ids(found):
    return [one.item_id for one in found]


def test_new_home_listings_of_the_users_kind_come_first(recommender):
    assert set(ids(recommender.recommend(HISTORY, k=4))) == {"a12", "a13", "a14", "a15"}


def test_a_recommendation_says_how_unsure_it_is(recommender):
    assert all(one.deviation > 0 for one in recommender.recommend(HISTORY, k=4))


def test_a_strangers_deviation_is_wider_far_from_the_usual_and_shrinks_with_customers(recommender):
    recommender._scoring.network.strangers = PopularitySpread(slope=0.3, own=0.8)
    found = {one.item_id: one for one in recommender.recommend(history_of(), k=50)}
    mean, usual = map(float, recommender._snapshot.blocks.usual_prior)
    for one in found.values():
        away = 0.3 * (one.score - mean) / usual
        assert one.deviation == pytest.approx(np.hypot(away, 0.8))
    recommender.adapt("b13", [HISTORY] * 3, moments=[0.0] * 3)
    after = {one.item_id: one for one in recommender.popular(k=50)}
    own = 1 / np.sqrt(1 / 0.8**2 + 3)
    away = 0.3 * (after["b13"].score - mean) / usual
    assert after["b13"].deviation == pytest.approx(np.hypot(away, own))
    assert after["b13"].deviation < found["b13"].deviation
    assert after["a12"].deviation == found["a12"].deviation


@pytest.mark.parametrize("personal", [None, 0.3, 0.5, 1.0])
def test_a_turn_explores_new_listings_and_tells_the_propensity(recommender, personal):
    plain = recommender.recommend(HISTORY, k=4, personal=personal)
    turn = Explorer(Thompson(floor=1.0), 1, ListingBudget(5)).turn("page")
    found = recommender.recommend(HISTORY, k=4, personal=personal, turn=turn)
    assert ids(found)[:3] == ids(plain)[:3]
    assert [one.score for one in found[:3]] == [one.score for one in plain[:3]]
    assert [one.explored for one in found] == [False, False, False, True]
    assert [one.propensity for one in found[:3]] == [1.0] * 3
    assert found[3].propensity == pytest.approx(1 / len(turn.page.arms))
    assert found[3].is_new
    shared = np.linalg.norm(turn.field.directions, axis=1)
    known = dict(zip(turn.field.item_ids, shared, strict=True))
    certainty = recommender._scoring.network.certainty
    own = (1.0 if personal is None else personal) * certainty.own_deviations(np.zeros(1))
    assert np.hypot([known[one.item_id] for one in found], own) == pytest.approx(
        [one.deviation for one in found], rel=1e-3
    )


def test_first_customers_make_a_score_surer_for_everybody(recommender):
    certainty = recommender._scoring.network.certainty
    certainty.own[:] = torch.linspace(1.0, 0.4, len(certainty.own))
    certainty.covariance.zero_()  # what is left is each listing's own

    def told(personal=None):
        found = recommender.recommend(HISTORY, k=50, pool="all", personal=personal)
        return {one.item_id: one.deviation * float(certainty.scale) for one in found}

    before = told()
    recommender.adapt("b13", [HISTORY] * 3, moments=[0.0] * 3)
    after = told()
    assert before["b13"] == pytest.approx(1.0)
    assert after["b13"] == pytest.approx(np.sqrt(float(certainty.own[3])))
    assert after["a12"] == pytest.approx(1.0)
    assert after["a01"] == pytest.approx(np.sqrt(0.4))  # known: as with the most customers
    assert told(personal=0.5)["a12"] == pytest.approx(0.5)


def test_what_is_the_same_for_everybody_is_as_sure_as_its_given_weight(recommender):
    told = {
        personal: {
            one.item_id: one.deviation
            for one in recommender.recommend(HISTORY, k=50, personal=personal)
        }
        for personal in (0.0, 0.25, 0.5)
    }
    assert set(told[0.0].values()) == {0.0}
    assert {name: 2 * value for name, value in told[0.25].items()} == pytest.approx(told[0.5])


@pytest.mark.parametrize("policy", [Thompson(floor=1.0), LinUCB(floor=0.2)])
def test_a_turn_explores_for_a_stranger_too(recommender, policy):
    plain = recommender.recommend(history_of(), k=4)
    turn = Explorer(policy, 1, ListingBudget(5)).turn("page")
    found = recommender.recommend(history_of(), k=4, turn=turn)
    assert ids(found)[:3] == ids(plain)[:3]
    assert [one.explored for one in found] == [False, False, False, True]
    assert [one.propensity for one in found[:3]] == [1.0] * 3
    assert found[3].is_new
    chances = page_chances(policy, turn.page.arms, turn.page.drawn, rng=np.random.default_rng(0))
    assert found[3].propensity == pytest.approx(chances[0, turn.page.drawn[0]], abs=0.1)
    if policy.floor == 1.0:
        assert found[3].propensity == pytest.approx(1 / len(turn.page.arms))
    named = turn.field.item_ids[turn.page.arm_columns].tolist()
    arm = named.index(found[3].item_id)
    assert turn.page.arms.deviations[arm] == pytest.approx(found[3].deviation)


def test_strangers_pages_show_what_hardly_anybody_has_tried_more_often(recommender):
    tried = next(one.item_id for one in recommender.popular(k=50)[4:])
    recommender._scoring.network.strangers = PopularitySpread(slope=0.1, own=2.0)

    def shown() -> int:
        explorer = Explorer(Thompson(floor=0.0), 1, ListingBudget(1_000))
        pages = (
            recommender.recommend(history_of(), k=4, turn=explorer.turn(f"page {number}"))
            for number in range(200)
        )
        return sum(page[3].item_id == tried for page in pages)

    before = shown()
    recommender.adapt(tried, [HISTORY] * 20, moments=[0.0] * 20)
    assert shown() < before / 2


def test_another_department_is_not_recommended(recommender):
    assert "a16" not in ids(recommender.recommend(HISTORY, k=50, pool="all"))


def test_what_is_excluded_does_not_come(recommender):
    assert "a12" not in ids(recommender.recommend(HISTORY, k=50, exclude={"a12"}))


@pytest.mark.parametrize("supported", [False, True])
@pytest.mark.parametrize("personal", [None, 0.0, 0.4, 1.0])
def test_the_contributions_sum_to_the_score(recommender, supported, personal):
    if supported:
        recommender.adapt("b13", [HISTORY], moments=[0.0])
    for item_id in ("a12", "b13"):
        told = recommender.explain(HISTORY, item_id, personal=personal)
        assert sum(part.value for part in told.contributions) == pytest.approx(told.score, abs=1e-3)
        (score,) = recommender.score(HISTORY, [item_id], personal=personal)
        assert told.score == pytest.approx(score)


def test_the_least_personal_recommendation_is_the_same_for_everybody(recommender):
    other = history_of("b00", "b03")
    one, two = (ids(recommender.recommend(who, k=5, personal=0.0)) for who in (HISTORY, other))
    for told in recommender.recommend(HISTORY, k=5, personal=0.0):
        assert told.reason.endswith(": listings like this one have been popular.")
        whole = recommender.explain(HISTORY, told.item_id, personal=0.0)
        assert whole.sentence == told.reason
        assert [part.history_item_id for part in whole.contributions if part.history_item_id] == []
        assert sum(part.value for part in whole.contributions) == pytest.approx(whole.score)
    assert "because of" in recommender.recommend(HISTORY, k=1)[0].reason
    assert one == two
    assert ids(recommender.recommend(HISTORY, k=5, personal=1.0)) != ids(
        recommender.recommend(other, k=5, personal=1.0)
    )


@pytest.mark.parametrize("items", [(), ("a00", "a03")], ids=["a stranger", "somebody"])
@pytest.mark.parametrize("personal", [7.0, -0.1, float("nan")])
def test_a_place_that_there_is_not_is_refused_whoever_asks(recommender, items, personal):
    with pytest.raises(ConfigError, match="give a number from 0"):
        recommender.recommend(history_of(*items), k=2, personal=personal)


def test_of_no_place_nothing_is_recommended(recommender):
    assert recommender.recommend(HISTORY, k=0) == []


def test_first_customers_move_only_their_listing(recommender):
    before = recommender.score(HISTORY, ["a12", "b13"])
    row = recommender.adapt("b13", [HISTORY], moments=[0.0])
    after = recommender.score(HISTORY, ["a12", "b13"])
    assert row[tables.ITEM_ID].tolist() == ["b13"]
    assert row["support"].tolist() == [1]
    assert after[0] == before[0]
    assert after[1] > before[1]


def _lift(recommender):
    """Let first customers turn the order of the new listings and lift all of them past all."""
    snapshot = recommender._snapshot
    order = [snapshot.position[one.item_id] for one in recommender.recommend(HISTORY, k=100)]
    taught = np.array(sorted(order))
    height = np.array([1_000 + 10 * order.index(row) for row in taught])
    recommender._snapshot = snapshot.with_lessons(
        taught,
        np.zeros((len(taught), snapshot.deltas.shape[1]), np.float32),
        height.astype(np.float32),
        np.full(len(taught), 3),
    )


def _told_apart(recommender):
    """Let every listing be expected to sell more or less than all others."""
    snapshot = recommender._snapshot
    rows = snapshot.rows.copy()
    rows[:, -1] = np.random.default_rng(0).permutation(len(rows)) / len(rows)
    recommender._snapshot = replace(snapshot, rows=rows)
    recommender._scoring.network.scorer.prior_weight.data.fill_(1.0)


def test_first_customers_turn_new_listings_and_leave_known_ones_in_their_places(recommender):
    _told_apart(recommender)
    before = recommender.recommend(HISTORY, k=100, pool="all")
    order = ids(recommender.recommend(HISTORY, k=100))
    _lift(recommender)
    after = recommender.recommend(HISTORY, k=100, pool="all")
    assert ids(recommender.recommend(HISTORY, k=100)) == order[::-1]
    assert [one.item_id for one in after if one.is_new] == order[::-1]
    for was, stands in zip(before, after, strict=True):
        assert was.is_new == stands.is_new
        assert was.score == pytest.approx(stands.score, abs=1e-5)
        assert was.is_new or was.item_id == stands.item_id


@pytest.mark.parametrize("history", [HISTORY, history_of("a00", "a03", "a12", "b01")])
@pytest.mark.parametrize("personal", [None, 0.4])
def test_a_score_in_one_list_with_known_items_is_that_of_the_page_and_explains_itself(
    recommender, history, personal
):
    _told_apart(recommender)
    _lift(recommender)
    page = recommender.recommend(
        history, k=100, pool="all", exclude=set(history.item_ids), personal=personal
    )
    among = recommender.score(history, ids(page), pool="all", personal=personal)
    assert among == pytest.approx([one.score for one in page], abs=1e-5)
    for one in page:
        (told,) = recommender.scored(history, [one.item_id], pool="all", personal=personal)
        assert told.score == pytest.approx(one.score, abs=1e-5)
        assert told.deviation == pytest.approx(one.deviation, rel=1e-4)
        told = recommender.explain(history, one.item_id, pool="all", personal=personal)
        assert told.score == pytest.approx(one.score, abs=1e-5)
        assert told.sentence == one.reason
        assert told.deviation == pytest.approx(one.deviation, rel=1e-4)
        assert sum(part.value for part in told.contributions) == pytest.approx(told.score, abs=1e-3)
        held = [part.value for part in told.contributions if part.term == PLACE]
        assert len(held) == one.is_new
        assert all(value < 0 for value in held)  # lifted past all, held to a place there was
        alone = recommender.explain(history, one.item_id, personal=personal)
        assert PLACE not in {part.term for part in alone.contributions}


def _sell(recommender, *, weight=2.0):
    """Every known item sells, each by its number in the snapshot."""
    snapshot = recommender._snapshot
    sums = np.arange(len(snapshot.items), dtype=np.float64)
    recommender._scoring.selling_weight = weight
    sales = Sales(RecentChoices(sums, 0), Position("0", 0))
    recommender._snapshot = replace(snapshot, sales=sales)


def test_known_items_that_sell_come_before_others_of_them_and_new_ones_keep_their_places(
    recommender,
):
    _told_apart(recommender)
    before = recommender.recommend(HISTORY, k=100, pool="all")
    alone = ids(recommender.recommend(HISTORY, k=100))
    _sell(recommender, weight=100.0)
    after = recommender.recommend(HISTORY, k=100, pool="all")
    assert [one.score for one in after] == pytest.approx([one.score for one in before], abs=1e-5)
    assert [one.is_new for one in after] == [one.is_new for one in before]
    known = [one.item_id for one in after if not one.is_new]
    assert known == sorted(known, reverse=True)
    assert known != [one.item_id for one in before if not one.is_new]
    assert [one.item_id for one in after if one.is_new] == alone
    assert ids(recommender.recommend(HISTORY, k=100)) == alone


@pytest.mark.parametrize("pool", ["new", "all"])
@pytest.mark.parametrize("personal", [None, 0.4])
def test_what_sells_now_is_a_part_of_a_known_items_score_and_the_parts_sum(
    recommender, pool, personal
):
    _told_apart(recommender)
    _lift(recommender)
    _sell(recommender)
    snapshot = recommender._snapshot
    share = 1.0 if personal is None else personal
    for row, item_id in enumerate(snapshot.item_ids):
        told = recommender.explain(HISTORY, item_id, pool=pool, personal=personal)
        (score,) = recommender.score(HISTORY, [item_id], pool=pool, personal=personal)
        assert told.score == pytest.approx(score, abs=1e-4)
        assert sum(part.value for part in told.contributions) == pytest.approx(score, abs=1e-3)
        sells = [part.value for part in told.contributions if part.term == SELLING]
        assert len(sells) == (not snapshot.new[row])
        if sells:
            assert sells[0] == pytest.approx(2.0 * share * float(snapshot.selling[row]))
        placed = PLACE in {part.term for part in told.contributions}
        assert placed == (pool == "all")


def test_a_stranger_sees_known_items_by_what_sells_and_new_ones_by_what_their_content_promises(
    recommender,
):
    _told_apart(recommender)
    stranger = history_of()
    before = recommender.recommend(stranger, k=100, pool="all")
    _sell(recommender)
    after = recommender.recommend(stranger, k=100, pool="all")
    assert ids(after) == ids(recommender.popular(k=100, pool="all"))
    assert [one.score for one in after] == [one.score for one in before]
    assert [one.is_new for one in after] == [one.is_new for one in before]
    known = [one.item_id for one in after if not one.is_new]
    assert known == sorted(known, reverse=True)
    for pool in ("new", "all"):
        whole = recommender.recommend(stranger, k=100, pool=pool)
        shown = []
        while len(shown) < len(whole):
            shown += recommender.recommend(stranger, k=3, pool=pool, shown=ids(shown))
        assert ids(shown) == ids(whole)
        scores = recommender.score(stranger, ids(whole), pool=pool)
        assert scores == [one.score for one in whole]
        for one in whole:
            told = recommender.explain(stranger, one.item_id, pool=pool)
            assert told.score == one.score
            total = sum(part.value for part in told.contributions)
            assert total == pytest.approx(one.score, abs=1e-5)


def test_sales_are_counted_up_to_where_the_log_is(recommender, tmp_path):
    log = event_log(Home(tmp_path))
    recommender.count_sales(log.state())
    assert recommender.counted is None  # nobody counted from the beginning
    snapshot = recommender._snapshot
    sales = Sales(RecentChoices.none(len(snapshot.items)), log.state().position)
    recommender._snapshot = replace(snapshot, sales=sales)
    rows = pd.DataFrame(
        {
            tables.EVENT_ID: ["e1"],
            tables.USER_ID: ["u"],
            tables.ITEM_ID: ["a01"],
            tables.EVENT_TYPE: [tables.CLICK],
            tables.EVENT_TIMESTAMP: [START],
            tables.SOURCE: ["test"],
        }
    )
    log.append(tables.EVENTS.to_arrow(rows))
    follower = Following()
    recommender.lead([follower])
    recommender.count_sales(log.state())
    assert recommender.counted == log.state().position
    assert np.flatnonzero(recommender._snapshot.sales.recent.sums).tolist() == [1]
    assert follower.positions == [log.state().position]
    counted = recommender._snapshot
    recommender.count_sales(log.state())
    assert recommender._snapshot is counted


class Following:
    """Hears of the log."""

    def __init__(self):
        self.positions = []

    def count_sales(self, log):
        self.positions.append(log.position)


def test_pages_of_one_list_are_that_list_and_nobody_takes_a_place_twice(recommender):
    _told_apart(recommender)
    _lift(recommender)
    whole = recommender.recommend(HISTORY, k=12, pool="all")
    shown = []
    while len(shown) < len(whole):
        shown += recommender.recommend(HISTORY, k=3, pool="all", shown=ids(shown))
    assert ids(shown) == ids(whole)
    for one, same in zip(shown, whole, strict=True):
        assert one.reason == same.reason
        assert (one.score, one.deviation) == pytest.approx((same.score, same.deviation), abs=1e-5)


def test_what_was_shown_of_the_new_listings_or_to_a_stranger_does_not_come_again(recommender):
    for history in (HISTORY, history_of()):
        for pool in ("new", "all"):
            whole = ids(recommender.recommend(history, k=8, pool=pool))
            rest = recommender.recommend(history, k=8 - 3, pool=pool, shown=whole[:3])
            assert ids(rest) == whole[3:]
    everything = ids(recommender.recommend(HISTORY, k=100))
    assert recommender.recommend(HISTORY, shown=everything) == []


def test_who_found_customers_faster_is_ranked_higher_for_everybody_and_says_so(recommender):
    usual = recommender._scoring.network.pace
    usual.usual.fill_(10.0)
    usual.mean.fill_(float(np.log(2)))
    usual.deviation.fill_(0.5)
    biases = []
    for between in (100.0, 1.0):
        moments = [between * number for number in range(3)]
        row = recommender.adapt("b13", [HISTORY] * 3, moments=moments)
        biases.append(row["bias"].iloc[0])
        told = recommender.explain(HISTORY, "b13")
        (pace,) = (part for part in told.contributions if part.term == PACE)
        assert pace.value == pytest.approx(biases[-1])
        assert sum(part.value for part in told.contributions) == pytest.approx(told.score, abs=1e-3)
    assert biases[0] < 0 < biases[1]


def test_a_listing_without_a_department_is_recommendable_once_added(recommender):
    added = titled({"z1": "oak chair 99"})
    version = recommender.snapshot_version
    rows = recommender.add_listings(added.frame, no_embeddings(1), no_embeddings(1))
    assert rows[tables.ITEM_ID].tolist() == ["z1"]
    assert recommender.snapshot_version != version
    assert recommender.is_new("z1")
    assert "z1" in ids(recommender.recommend(HISTORY, k=5))


def test_a_listing_that_comes_again_keeps_what_it_learned(recommender):
    recommender.adapt("b13", [HISTORY] * 3, moments=[0.0] * 3)
    before = recommender._snapshot
    row = before.position["b13"]
    again = titled({"b13": "blue lamp 99", "z1": "oak chair 99"})
    recommender.add_listings(again.frame, no_embeddings(2), no_embeddings(2))
    after = recommender._snapshot
    place = after.position["b13"]
    assert after.support[place] == 3
    assert after.biases[place] == before.biases[row]
    np.testing.assert_array_equal(after.deltas[place], before.deltas[row])
    assert after.new[place] == before.new[row]
    assert after.items[tables.TITLE].iloc[place] == "blue lamp 99"
    others = [item for item in before.item_ids if item != "b13"]
    kept = [after.position[item] for item in others]
    np.testing.assert_array_equal(
        after.rows[kept], before.rows[[before.position[item] for item in others]]
    )
    assert after.support[after.position["z1"]] == 0


def test_an_updated_listing_keeps_what_people_chose_together_with_it(recommender):
    before = recommender._snapshot
    old = next(str(item) for item, new in zip(before.item_ids, before.new, strict=True) if not new)
    again = titled({old: "blue lamp 99", "b13": "oak chair 99"})
    made = recommender.add_listings(again.frame, no_embeddings(2), no_embeddings(2))
    after = recommender._snapshot

    def factors(snapshot, item):
        return snapshot.vectors.values[TOGETHER][snapshot.position[item]].numpy()

    assert factors(before, old).any()
    np.testing.assert_array_equal(factors(after, old), factors(before, old))
    assert not np.array_equal(factors(after, "b13"), factors(before, "b13"))  # of content alone
    assert not np.array_equal(after.rows[after.position[old]], before.rows[before.position[old]])
    np.testing.assert_array_equal(
        np.stack(made.set_index(tables.ITEM_ID).loc[old, ["vector"]].tolist())[0],
        after.rows[after.position[old]],
    )


def test_a_listing_forgets_its_first_customers(recommender):
    before = recommender.score(HISTORY, ["b13", "a00"])
    recommender.adapt("b13", [HISTORY] * 3, moments=[0.0] * 3)
    assert recommender.score(HISTORY, ["b13", "a00"]) != before
    recommender.forget_adaptations(["b13", "nowhere"])
    assert recommender.score(HISTORY, ["b13", "a00"]) == before
    recommender.adapt("b13", [HISTORY] * 3, moments=[0.0] * 3)
    recommender.forget_adaptations(None)
    assert recommender.score(HISTORY, ["b13", "a00"]) == before


def test_a_person_who_comes_back_is_remembered_with_what_is_not_known_of_a_choice(recommender):
    def asked():  # as read anew: every unknown number is another NaN
        unknown = (float("nan"),) * len(HISTORY.item_ids)
        return replace(HISTORY, quantities=unknown, prices=unknown)

    people = recommender._snapshot.blocks.people
    first = recommender.recommend(asked(), k=3)
    assert recommender.recommend(asked(), k=3) == first
    assert len(people) == 1
    fewer = recommender.recommend(asked(), k=2, exclude={first[0].item_id})
    assert ids(fewer) == ids(first)[1:]
    a_day_later = tuple(one + timedelta(days=1) for one in HISTORY.timestamps)
    assert recommender.recommend(replace(asked(), timestamps=a_day_later), k=3) == first
    assert len(people) == 1
    recommender.recommend(replace(asked(), prices=(1.0, 2.0, 3.0)), k=3)
    assert len(people) == 2
    recommender.forget_people()
    assert len(people) == 0


def test_who_is_remembered_sees_what_came_meanwhile(recommender):
    before = recommender.score(HISTORY, ["b13"])
    recommender.adapt("b13", [HISTORY] * 3, moments=[0.0] * 3)
    taught = recommender.score(HISTORY, ["b13"])
    assert taught != before
    recommender.forget_people()
    assert recommender.score(HISTORY, ["b13"]) == taught
    recommender.remove_listings(["a00"])  # of the history
    assert recommender.score(HISTORY, ["b13"]) != taught


@pytest.mark.parametrize("history", [HISTORY, history_of()], ids=["a person", "a stranger"])
@pytest.mark.parametrize("pool", ["new", "all"])
def test_a_place_is_where_recommend_puts_the_listing(recommender, history, pool):
    found = recommender.recommend(history, k=100, pool=pool, exclude=set(history.item_ids))
    places = [recommender.place(history, one.item_id, pool=pool) for one in found]
    assert places == [(place, len(found)) for place in range(1, len(found) + 1)]
    assert len(found) > 3


def test_a_place_outside_the_pool_is_refused(recommender):
    with pytest.raises(UnknownItem, match="'a00' is served, but not one of the new"):
        recommender.place(HISTORY, "a00")
    place, among = recommender.place(HISTORY, "a00", pool="all")
    assert 1 <= place <= among
    with pytest.raises(UnknownItem, match="ghost"):
        recommender.support("ghost")


def test_a_removed_listing_is_not_served_any_more(recommender):
    scores = recommender.score(HISTORY, ["a00", "b12"])
    recommender.remove_listings(["b13", "nowhere"])
    assert not recommender.serves("b13")
    with pytest.raises(UnknownItem):
        recommender.score(HISTORY, ["b13"])
    assert len(recommender.score(HISTORY, ["a00", "b12"])) == len(scores)


def test_a_stranger_gets_the_popular_and_an_unknown_item_is_named(recommender):
    stranger = UserHistory((), (), ())
    assert ids(recommender.recommend(stranger, k=3)) == ids(recommender.popular(k=3))
    with pytest.raises(UnknownItem, match="nowhere"):
        recommender.score(HISTORY, ["nowhere"])


def test_who_chose_only_what_is_not_served_is_not_known(recommender):
    gone = history_of("gone", "gone-too")
    assert recommender.knows(HISTORY)
    assert recommender.knows(history_of("gone", HISTORY.item_ids[0]))
    assert not recommender.knows(gone)
    assert ids(recommender.recommend(gone, k=3)) == ids(recommender.popular(k=3))
    recommender.remove_listings(HISTORY.item_ids)
    assert not recommender.knows(HISTORY)


def test_a_history_of_unlike_lengths_is_refused():
    with pytest.raises(ValueError, match="as many ids"):
        UserHistory(("a",), (), (pd.Timestamp(START).to_pydatetime(),))
