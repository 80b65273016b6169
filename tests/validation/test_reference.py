import pandas as pd
import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, tables
from validation.gate import GateResult
from validation.prices import one_spelling
from validation.reference import script_of


@pytest.fixture
def catalogue(listings: Listings) -> pd.DataFrame:
    """60 accepted lamps of 10 to 69 euros and 60 rugs of 100 to 690."""
    ids = [f"k{number:03}" for number in range(120)]
    prices = [*range(10, 70), *range(100, 700, 10)]
    categories = ["Home > Lamps"] * 60 + ["Home > Rugs"] * 60
    names = [f"Piece number {number} of the spring collection" for number in range(120)]
    frame = listings(*ids, price=prices, category=categories, title=names)
    return gate.check_items(frame, known_items=None, now=NOW).accepted


def warned(frame: pd.DataFrame, known: pd.DataFrame | None) -> dict[int, list[str]]:
    result: GateResult = gate.check_items(frame, known_items=known, now=NOW)
    assert result.quarantined.empty
    rows = result.warnings
    return dict(zip(rows["row_number"].tolist(), rows["checks"].tolist(), strict=True))


def test_what_the_catalogue_has_passes(catalogue: pd.DataFrame, listings: Listings) -> None:
    frame = listings("a", "b", category=["home>LAMPS", "Home > Rugs"], price=[30, 300])
    assert warned(frame, catalogue) == {}


def test_an_unknown_category_is_told_with_the_nearest(
    catalogue: pd.DataFrame, listings: Listings
) -> None:
    frame = listings("a", "b", category=["Home > Lmps", "Boats"])
    result = gate.check_items(frame, known_items=catalogue, now=NOW)
    first, second = result.warnings["reasons"]
    assert "did you mean 'Home > Lamps'?" in first[0]
    assert second == [
        "Row 1: category 'Boats' is not among the catalogue's; correct it if it is misspelt."
    ]


def test_a_price_is_judged_within_its_category(catalogue: pd.DataFrame, listings: Listings) -> None:
    frame = listings(
        *("lamp", "cents", "rug", "dear rug"),
        price=[60, 4_500, 1_400, 140_000],
        category=["Home > Lamps", "Home > Lamps", "Home > Rugs", "Home > Rugs"],
    )
    assert warned(frame, catalogue) == {1: ["price_usual"], 3: ["price_usual"]}


def test_another_currency_and_another_script_are_told(
    catalogue: pd.DataFrame, listings: Listings
) -> None:
    frame = listings("a", "b", currency=["JPY", "EUR"], title=["Floor lamp", "Настольная лампа"])
    assert warned(frame, catalogue) == {0: ["currency_usual"], 1: ["title_script_usual"]}


def test_a_copy_of_an_accepted_text_is_told_and_an_update_is_not(
    catalogue: pd.DataFrame, listings: Listings
) -> None:
    copied = "Piece number 7 of the spring collection"
    result = gate.check_items(
        listings("a", "k007", title=[copied, copied]), known_items=catalogue, now=NOW
    )
    assert result.warnings["checks"].tolist() == [["text_unlike_others"]] * 2
    alone = gate.check_items(listings("k007", title=[copied]), known_items=catalogue, now=NOW)
    assert alone.verdict == "pass"


def test_a_small_catalogue_says_nothing(catalogue: pd.DataFrame, listings: Listings) -> None:
    frame = listings("a", category=["Boats"], currency=["JPY"], title=["Лампа"], price=[9e9])
    assert warned(frame, catalogue.head(20)) == {}
    assert warned(frame, catalogue[[tables.ITEM_ID, tables.SOURCE]]) == {}


def test_a_size_that_no_piece_has_is_told(listings: Listings) -> None:
    frame = listings(
        *("a", "b", "c", "d"),
        attributes=[
            '{"height": "45 cm", "weight": "900 kg"}',
            '{"width": "4500 cm"}',
            '{"Depth": -3}',
            '{"length": "about 3 m", "seats": 3000}',
        ],
    )
    assert warned(frame, None) == {1: ["measures_plausible"], 2: ["measures_plausible"]}


@pytest.mark.parametrize(
    ("path", "spelled"), [("A >B  b> c ", "a > b b > c"), ("", None), (None, None), (3.0, None)]
)
def test_categories_have_one_spelling(path: object, spelled: str | None) -> None:
    assert one_spelling(path) == spelled


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Sofa 200", "Latin"),
        ("沙发 sofa", "Latin"),
        ("北欧沙发 M", "Han"),
        ("123", None),
        (None, None),
    ],
)
def test_a_text_is_in_the_script_of_most_letters(text: object, script: str | None) -> None:
    assert script_of(text) == script
