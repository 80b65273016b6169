import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.contents import (
    Alike,
    Contents,
    joined,
    look_same,
    photo_contents,
    read_same,
    text_contents,
)
from validation.duplicates import twins

NO_TEXTS = pd.DataFrame({"item_id": [], "text": [], "attributes": []})
NO_PHOTOS = pd.DataFrame({"item_id": [], "fingerprint": []})
OAK = "Round dining table of solid oak with four turned legs and a drawer, seats six people"


def named(
    ours: Contents, theirs: Contents, ids: pd.Series, known_ids: pd.Series, alike: Alike
) -> tuple[list[object], list[int]]:
    """The ids of the twins, and how many share each content."""
    near = np.flatnonzero(theirs.may_share(ours))
    found = twins(joined([ours, theirs.take(near)]), len(ours), alike=alike)
    names = [*ids, *known_ids.iloc[near]]
    return [names[row] if row >= 0 else None for row in found.twin], found.sharing.tolist()


def copies(
    texts: list[str | None],
    known: pd.DataFrame = NO_TEXTS,
    attributes: list[str | None] | None = None,
) -> list[object]:
    ids = pd.Series([f"i{number}" for number in range(len(texts))])
    frame = pd.DataFrame({"text": texts, "attributes": attributes or [None] * len(texts)})
    ours = text_contents(frame.astype(object), ids)
    theirs = text_contents(known, known["item_id"])
    return named(ours, theirs, ids, known["item_id"], read_same)[0]


def test_the_same_words_in_another_order_and_spelling_are_twins() -> None:
    assert copies(["Red wool rug, large", "Blue wool rug, large", "LARGE rug - red wool"]) == [
        *("i2", None, "i0"),
    ]


def test_one_word_of_many_may_differ() -> None:
    assert copies([OAK, "x y z 1", f"{OAK} NEW"]) == ["i2", None, "i0"]


def test_variants_that_differ_in_their_attributes_are_no_twins() -> None:
    colours: list[str | None] = ['{"colour": "red"}', '{"colour": "blue"}', '{"colour": "red"}']
    assert copies([OAK, OAK, f"{OAK} NEW"], attributes=colours) == ["i2", None, "i0"]


def test_short_and_absent_texts_have_no_twins() -> None:
    assert copies(["Table lamp", "Table lamp", None, None]) == [None] * 4


def test_a_twin_in_the_catalogue_is_found_and_a_row_is_not_its_own() -> None:
    known = pd.DataFrame(
        {
            "item_id": ["old", "i0"],
            "text": [OAK.upper(), "Red wool rug, large"],
            "attributes": [None, None],
        }
    )
    assert copies(["Red wool rug, large", OAK], known) == [None, "old"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_near_texts_are_found_whatever_stands_around(seed: int) -> None:
    generator = np.random.default_rng(seed)
    vocabulary = [f"w{number}" for number in range(400)]
    texts = [" ".join(generator.choice(vocabulary, 20, replace=False)) for _ in range(60)]
    texts[7] = " ".join([*texts[3].split()[:19], "other"])
    found = copies(list(texts))
    assert (found[3], found[7]) == ("i7", "i3")
    assert sum(twin is not None for twin in found) == 2


def pictures(
    prints: list[int | None], known: pd.DataFrame = NO_PHOTOS
) -> tuple[list[object], list[int]]:
    ids = pd.Series([f"i{number}" for number in range(len(prints))])
    ours = photo_contents(pd.Series(prints, dtype=object), ids)
    theirs = photo_contents(known["fingerprint"], known["item_id"])
    return named(ours, theirs, ids, known["item_id"], look_same)


def test_pictures_that_differ_in_two_bits_are_twins_and_in_four_are_not() -> None:
    one = 0xFFFF0000FFFF0000
    names, sharing = pictures([one, one ^ 0b11, one ^ (0b1111 << 40), None])
    assert names == ["i1", "i0", None, None]
    assert sharing == [1, 1, 1, 0]


def test_a_picture_on_many_listings_is_counted_with_the_catalogues() -> None:
    known = pd.DataFrame({"item_id": ["old", "older", "i0"], "fingerprint": [5, 5, 5]})
    assert pictures([5, 5], known) == (["i1", "i0"], [4, 4])
