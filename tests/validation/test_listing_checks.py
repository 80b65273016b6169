import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate
from validation.rules import Rules


@pytest.mark.parametrize(
    "title",
    ["test", "TEST 12", "Untitled", "lorem ipsum dolor", "n/a", "xxx", "Sample product", "(TBD)"],
)
def test_a_placeholder_is_no_title(listings: Listings, title: str) -> None:
    result = gate.check_items(listings("a", title=[title]), known_items=None, now=NOW)
    assert result.quarantined["checks"].tolist() == [["title_no_placeholder"]]


@pytest.mark.parametrize(
    "title",
    ["Test tube vase", "Nan's rocking chair", "Sample rug 30x30", "None such stool", "XXL sofa"],
)
def test_a_title_that_begins_like_a_placeholder_passes(listings: Listings, title: str) -> None:
    result = gate.check_items(listings("a", title=[title]), known_items=None, now=NOW)
    assert result.verdict == "pass"


@pytest.mark.parametrize(
    ("title", "check"),
    [
        ("<b>Oak table</b>", "title_no_markup"),
        ("Oak &amp; steel", "title_no_markup"),
        ("Oak\u200btable", "title_no_control"),
        ("\u00c3\u0089tag\u00c3\u00a8re of oak", "title_no_encoding"),
        ("Oak table www.shop.example", "title_no_contact"),
        ("Call +44 20 7946 0000 oak", "title_no_contact"),
        ("Lamp lamp LAMP of oak", "title_repeats_nothing"),
        ("12345", "title_has_words"),
        ("Oak " * 80, "title_length"),
    ],
)
def test_weak_titles_are_warned_of(listings: Listings, title: str, check: str) -> None:
    result = gate.check_items(listings("a", title=[title]), known_items=None, now=NOW)
    assert result.quarantined.empty
    assert check in result.warnings["checks"].iloc[0]


@pytest.mark.parametrize(
    ("description", "check"),
    [
        ("<p>Oak</p>", "markup"),
        ("Oak\x07", "control"),
        ("It\u00e2\u20ac\u2122s oak", "encoding"),
        ("Ask me@shop.example", "contact"),
        ("x" * 10_001, "length"),
    ],
)
def test_descriptions_are_checked_alike(listings: Listings, description: str, check: str) -> None:
    frame = listings("a", description=[description])
    result = gate.check_items(frame, known_items=None, now=NOW)
    assert result.quarantined.empty
    checks = result.warnings["checks"].item()
    assert [one for one in checks if one.startswith("description_")] in (
        [f"description_{check}"],
        [f"description_no_{check}"],
    )


def test_banned_words_block_and_only_as_words(listings: Listings) -> None:
    titles = ["An ivory horn", "Ivory", "Ivorytone shelf", "Learn c++ today", "C++", "Learn c++11"]
    result = gate.check_items(
        listings(*"abcdef", title=titles),
        known_items=None,
        now=NOW,
        rules=Rules(banned=("ivory", "c++")),
    )
    assert result.quarantined["key"].tolist() == ["a", "b", "d", "e"]


def test_banned_words_block_in_descriptions_alike(listings: Listings) -> None:
    frame = listings("a", "b", description=["Inlays of ivory.", "Oak"])
    result = gate.check_items(frame, known_items=None, now=NOW, rules=Rules(banned=("ivory",)))
    assert result.quarantined["key"].tolist() == ["a"]
    assert result.quarantined["checks"].tolist() == [["description_allowed"]]


def test_a_date_before_the_shop_is_warned_of(listings: Listings) -> None:
    frame = listings("a", listed_at=["1970-01-01T00:00:00Z"])
    result = gate.check_items(frame, known_items=None, now=NOW)
    assert result.warnings["checks"].tolist() == [["listed_at_plausible"]]


def test_a_price_that_no_sum_of_squares_could_hold_is_blocked(listings: Listings) -> None:
    result = gate.check_items(listings("a", "b", price=[1e11, 1.1e11]), known_items=None, now=NOW)
    assert result.quarantined["checks"].tolist() == [["price_plausible"]]
    assert result.quarantined["reasons"].item() == [
        "Row 1: price is 110000000000.0; expected at most 100,000,000,000; check the decimal point."
    ]
