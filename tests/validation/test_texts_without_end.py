"""A text that somebody thought out takes the gate no longer than its length says."""

import re
import time

import pytest

from validation import comparisons, listing_checks

LENGTH = 50_000
SECONDS = 1.0
"""A pattern that gives back what it took needs minutes for these."""
PATTERNS = {
    name: re.compile(getattr(listing_checks, name))
    for name in ("PLACEHOLDER", "MARKUP", "CONTROL", "WRONG_ENCODING", "CONTACT", "REPEATED")
} | {
    "MEASURE": comparisons.MEASURE,
    "banned": re.compile(listing_checks.whole_words(["ivory", "asdf1", "ab ", "c++"])),
}
TEXTS = [
    "x" * LENGTH,
    "a " * (LENGTH // 2),
    "-" * LENGTH,
    "@a." * (LENGTH // 3),
    "a@b." * (LENGTH // 4),
    "a@" + "b." * (LENGTH // 2),
    "test" + "-" * LENGTH + "a",
    "asdf" + "1" * LENGTH + "!a",
    "title" + "-1" * (LENGTH // 2) + "a",
    "<a" * (LENGTH // 2),
    "00" * (LENGTH // 2),
    "+1234 " + " " * LENGTH + "x",
    "ab" + " " * LENGTH + "ab" + " " * LENGTH + "ac",
    "1" + " " * LENGTH + "x",
]


@pytest.mark.parametrize("name", PATTERNS)
def test_no_text_takes_long(name: str) -> None:
    began = time.process_time()
    for text in TEXTS:
        PATTERNS[name].search(text)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "mail a@b.de",
        "x@@y.com",
        "a@b@c.org now",
        "see www.x",
        "call +49 170 1234567",
        "00491701234",
    ],
)
def test_an_address_or_a_number_is_found(text: str) -> None:
    assert PATTERNS["CONTACT"].search(text)


@pytest.mark.parametrize("text", ["sofa @ home", "a@b", "a@b.c", "3 for 2 @ 9.50", "+12 34"])
def test_what_is_none_is_left(text: str) -> None:
    assert not PATTERNS["CONTACT"].search(text)


@pytest.mark.parametrize(
    "text", ["test", "-- Test 12 --", "asdf123", "xxxx!", "N/A", "lorem ipsum a"]
)
def test_what_stands_for_a_title_is_found(text: str) -> None:
    assert PATTERNS["PLACEHOLDER"].search(text)


@pytest.mark.parametrize("text", ["Test tube", "xxxl shirt", "None 12 a", "Title role"])
def test_a_title_is_left(text: str) -> None:
    assert not PATTERNS["PLACEHOLDER"].search(text)
