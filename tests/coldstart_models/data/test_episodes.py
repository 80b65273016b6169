"""What is treated as new to learn on: hard negatives, enough people, the ranked department."""

from dataclasses import replace

import numpy as np

from coldstart_models.data.catalogue import Embeddings, IntArray
from coldstart_models.data.category_episodes import category_episodes
from coldstart_models.data.episodes import (
    MIN_COHORT,
    MIN_PEOPLE,
    chosen_together,
    episode_of,
    held_out_episode,
    known_episode,
    launch_episodes,
)
from coldstart_models.data.interactions import END_OF_TIME
from coldstart_models.ranker import FEWEST_TARGETS, TrainingSet
from tests.coldstart_models.checkerboard import titled, training_of
from tests.coldstart_models.departments import LAUNCHES, two_departments

PAIRS, USERS = 60, 40


def twins() -> TrainingSet:
    """Things in threes whose texts are next to the same; two of the three go together.

    Thing `a` and its `b` are chosen by the same people, `c`, a bit less alike, by others.
    """
    ids = [f"{number:02}{copy}" for number in range(PAIRS) for copy in "abc"]
    catalogue = titled(dict.fromkeys(ids, ""))
    angles = np.array([0.1 * number for number in range(PAIRS)])
    near = {"a": 0.0, "b": 0.001, "c": 0.01}
    turned = np.concatenate([[angle + near[copy] for copy in "abc"] for angle in angles])
    vectors = np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)
    text = Embeddings(vectors, np.ones(len(ids), bool), "circle", "1")
    rows = [
        (f"u{user:02}{'c' if copy == 'c' else 'ab'}", f"{number:02}{copy}", float(number))
        for number in range(PAIRS)
        for copy in "abc"
        for user in range(USERS)
        if (user + number) % 3 == 0
    ]
    catalogue = replace(catalogue, text=text)
    return training_of(rows, catalogue)


def test_whoever_chose_both_chose_them_together() -> None:
    training = twins()
    found = chosen_together(training.interactions, np.array([0, 2]), np.arange(6))
    assert found[0].tolist() == [True, True, False, False, False, False]
    assert found[1].tolist() == [False, False, True, False, False, False]


def test_a_hard_negative_reads_alike_and_was_never_chosen_together_with_its_item() -> None:
    training = twins()
    count, share = 3 * PAIRS, 0.3
    episode = held_out_episode(training, share=share, generator=np.random.default_rng(0))
    assert episode is not None
    drawn = np.random.default_rng(0).choice(count, size=round(share * count) // 2, replace=False)
    ids = training.catalogue.item_ids.astype(str)[drawn]
    rivals = {item_id[:2] + ("b" if item_id[2] == "c" else "c") for item_id in ids}
    found = set(training.catalogue.item_ids[episode.task.candidates].tolist())
    assert found == set(ids.tolist()) | rivals


def blanked(training: TrainingSet, number: int) -> TrainingSet:
    """Every item but each `number`-th without a text."""
    catalogue = training.catalogue
    present = np.arange(len(catalogue)) % number == 0
    vectors = catalogue.text.vectors * present[:, None]
    text = replace(catalogue.text, vectors=vectors.astype(np.float32), present=present)
    return replace(training, catalogue=replace(catalogue, text=text))


def test_what_has_no_text_is_nobodys_neighbour_and_has_none() -> None:
    training = blanked(twins(), 2)
    for seed in range(5):
        drawn = np.random.default_rng(seed).choice(3 * PAIRS, size=27, replace=False)
        episode = held_out_episode(training, share=0.3, generator=np.random.default_rng(seed))
        assert episode is not None
        kin = np.setdiff1d(episode.task.candidates, drawn)
        assert len(kin)
        assert training.catalogue.text.present[kin].all()
        assert len(kin) <= training.catalogue.text.present[drawn].sum()


def test_a_small_shop_whose_items_share_their_neighbours_still_has_a_problem() -> None:
    small = blanked(twins(), 30)  # a few texts: whoever has one is the neighbour of several
    for seed in range(20):
        episode = held_out_episode(small, share=0.01, generator=np.random.default_rng(seed))
        assert episode is not None
        assert len(episode.task.candidates) == MIN_COHORT


def bought_by(people: int) -> TrainingSet:
    """Everybody bought the old lamp, and nine days later one of a cohort's that others had."""
    new = [f"new{number:02}" for number in range(MIN_COHORT)]
    catalogue = titled(dict.fromkeys(["old", *new], "lamp"))
    rows = [(f"u{user:02}", "old", 0.0) for user in range(people)]
    rows += [(f"first{item}", item, 0.0) for item in new]
    rows += [(f"u{user:02}", new[user % len(new)], 9.0) for user in range(people)]
    return training_of(rows, catalogue)


def test_a_problem_of_too_few_people_is_none() -> None:
    few, enough = bought_by(MIN_PEOPLE - 1), bought_by(MIN_PEOPLE)
    new = np.arange(MIN_COHORT)  # by id before the old one
    assert episode_of(few.interactions, END_OF_TIME, new) is None
    assert known_episode(few) is None
    for episode in (episode_of(enough.interactions, END_OF_TIME, new), known_episode(enough)):
        assert episode is not None
        assert len(episode.chosen) == MIN_PEOPLE
        assert episode.chosen.any(axis=1).all()


def rehearsed(training: TrainingSet) -> dict[str, IntArray]:
    """What is treated as new by the episodes that first customers are rehearsed on."""
    learning, newest = launch_episodes(training)
    kinds = category_episodes(training, count=2, generator=np.random.default_rng(0))
    assert newest is not None
    past = np.concatenate([one.task.candidates for one in learning])
    return {"kind": kinds[0].task.candidates, "newest": newest.task.candidates, "launches": past}


def test_what_sells_now_is_learned_of_the_department_that_is_ranked() -> None:
    training = two_departments(home=LAUNCHES // 2)
    everything = known_episode(replace(training, target=np.ones(len(training.target), bool)))
    ranked = known_episode(training)
    assert everything is not None
    assert ranked is not None
    assert training.target[ranked.task.candidates].all()
    assert not training.target[everything.task.candidates].all()


def test_cold_starts_are_rehearsed_on_the_department_that_is_ranked() -> None:
    training = two_departments(home=LAUNCHES // 2)
    everything = rehearsed(replace(training, target=np.ones(LAUNCHES, bool)))
    for name, candidates in rehearsed(training).items():
        assert training.target[candidates].all(), name
        assert not training.target[everything[name]].all(), name


def test_a_department_with_few_known_items_is_rehearsed_on_all() -> None:
    few = two_departments(home=FEWEST_TARGETS - 1)
    for name, candidates in rehearsed(few).items():
        assert not few.target[candidates].all(), name
    enough = two_departments(home=FEWEST_TARGETS)
    assert np.array_equal(enough.rehearsable, enough.target)
    bought = enough.interactions.item_index != np.flatnonzero(enough.target)[0]
    fewer = replace(enough, interactions=enough.interactions.where(bought))
    assert fewer.rehearsable.all()
