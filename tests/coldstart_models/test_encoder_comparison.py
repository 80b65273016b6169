"""Encoders side by side on a tiny shop: what is measured, and what is left out and why."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from coldstart_models.catalogue_sample import encoded, sampled
from coldstart_models.data.splits import random_items_split
from coldstart_models.encoder_comparison import compare
from coldstart_models.errors import ConfigError, NotEnoughData
from coldstart_models.training_job import training_set
from feature_repo.encoders.encoder import Modality
from feature_repo.errors import EncoderError
from feature_repo.home import Home
from tests.feature_repo.samples import NOW, CountingEncoder, photo, write_events, write_items

COLOURS = {"a": (250, 10, 10), "b": (10, 250, 10), "c": (10, 10, 250)}


@pytest.fixture
def home(tmp_path):
    """240 things of three kinds, each kind of one letter and one colour; 30 people of a kind."""
    home = Home(tmp_path / "state")
    photos = {kind: photo(home.photos / f"{kind}.png", colour) for kind, colour in COLOURS.items()}
    ids = [f"i{number:03d}" for number in range(240)]
    write_items(
        home,
        *(
            {
                "item_id": item_id,
                "title": "abc"[number % 3] * (2 + number // 3),
                "category": f"Home > {'abc'[number % 3]}",
                "image_path": str(photos["abc"[number % 3]]),
            }
            for number, item_id in enumerate(ids)
        ),
    )
    events = pd.DataFrame(
        [
            (f"u{user:02d}", ids[(user % 3 + 3 * (7 * user + step)) % 240])
            for user in range(60)
            for step in range(12)
        ],
        columns=["user_id", "item_id"],
    )
    write_events(
        home,
        events.assign(
            event_id=[f"e{number}" for number in range(len(events))],
            event_type="purchase",
            event_timestamp=pd.Timestamp("2024-01-01", tz="UTC"),
            source="shop",
        ),
    )
    return home


def cut(home, catalogue, *, share=0.2):
    log = training_set(catalogue, home=home)
    return random_items_split(
        catalogue, log.interactions, share, seed=0, timed=log.timed, dated=log.dated
    )


def load(name):
    if name == "absent":
        raise EncoderError("there are no weights of it")
    modality, _, space = name.partition(" ")
    encoder = CountingEncoder(Modality(modality))
    encoder.space = space or encoder.hash
    return encoder


def compared(home, *names, **options):
    settings = {"now": NOW, "sample": 1_000, "load": load, "cut": partial(cut, home), **options}
    return compare(names, home=home, **settings)


def test_kinds_that_the_vectors_tell_apart_are_found_and_ranked_first(home):
    found = compared(home, "image", "text")
    image, text = found.encoders
    assert (found.items, found.sample, found.sources) == (240, 240, ["shop"])
    assert found.split == "random 0.2 of the items"
    assert (image.items, image.width, image.modality) == (240, 3, "image")
    assert image.items_per_second > 0
    assert image.measured["precision@10"].value == 1.0
    assert text.measured["precision@1"].value > 0.95
    assert image.measured["precision@1"].count == 240
    ndcg = image.measured["ndcg@10"]
    assert 0.1 < ndcg.low <= ndcg.value <= ndcg.high <= 1.0
    assert found.skipped == []


def test_every_image_and_text_encoder_are_a_pair_and_halves_of_one_model_share_its_space(home):
    found = compared(home, "image", "image joint", "text joint")
    assert [(pair.image, pair.text, pair.shared_space) for pair in found.pairs] == [
        ("image", "text joint", False),
        ("image joint", "text joint", True),
    ]
    assert found.pairs[0].candidates == 48
    assert set(found.pairs[0].measured) == {"recall@1", "recall@10"}
    assert found.as_dict()["pairs"][1]["measured"]["recall@1"]["count"] == 240


def test_what_cannot_be_had_is_left_out_with_its_reason(home):
    home.events.unlink()
    found = compared(home, "absent", "image", "text", sample=100)
    assert [row.encoder for row in found.encoders] == ["image", "text"]
    assert (found.split, found.pairs) == (None, [])
    reasons = {skipped.what: skipped.reason for skipped in found.skipped}
    assert "no events" in reasons["ndcg@10 of cold items"]
    assert reasons["absent"] == "there are no weights of it"
    assert "100 items of the sample" in reasons["title → photo by image and text"]
    with pytest.raises(NotEnoughData, match="there are no weights"):
        compared(home, "absent")
    with pytest.raises(NotEnoughData, match="coldstart ingest"):
        compared(Home(home.root / "nothing"), "image")


def test_a_share_that_is_none_is_refused_before_an_encoder_is_loaded(home):
    def unasked(name):
        raise AssertionError(f"{name} was loaded")

    with pytest.raises(ConfigError, match=r"--random-items 20.0 is not a share"):
        compared(home, "image", cut=partial(cut, home, share=20.0), load=unasked)


def test_the_sample_is_the_same_each_time_and_hardly_changes_with_new_listings(home):
    first, total = sampled(home, 50)
    assert (len(first), total) == (50, 240)
    assert list(first.item_ids) == sorted(first.item_ids) == list(sampled(home, 50)[0].item_ids)
    larger, _ = sampled(home, 60)
    assert set(first.item_ids) < set(larger.item_ids)


def test_embeddings_come_back_in_the_items_order_whatever_the_texts_lengths(home):
    catalogue, _ = sampled(home, 100)
    encoder = CountingEncoder(Modality.TEXT)
    found, speed = encoded(catalogue.frame, encoder, now=NOW)
    np.testing.assert_array_equal(found.vectors, encoder.encode(list(catalogue.frame["title"])))
    assert found.present.all()
    assert speed > 0
