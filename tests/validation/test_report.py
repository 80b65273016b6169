from pathlib import Path

import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, report


def test_the_report_says_what_to_mend_in_one_file(
    listings: Listings, photos: dict[str, Path], tmp_path: Path
) -> None:
    frame = listings("sofa", "lamp", "rug", price=["x", "1", "1"])
    frame["image_path"] = [str(photos["good"]), str(photos["bomb"]), str(photos["blank"])]
    items = gate.check_items(frame, known_items=None, now=NOW)

    path = report.write([items], tmp_path / "made" / "report.html", title="Shop", now=NOW)

    html = path.read_text(encoding="utf-8")
    assert "<title>Shop</title>" in html
    assert "Some rows are in quarantine" in html
    assert "give a price such as 12.50, or leave it empty" in html
    assert "claims more than 64 million pixels" in html
    assert "is one single colour" in html
    assert html.count("data:image/jpeg;base64,") == 2
    assert "photo cannot be shown" in html
    for check in ("price_readable", "photo_too_large", "photo_blank"):
        assert f"<code>{check}</code>" in html
    assert "http://" not in html
    assert "https://" not in html
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]


def test_what_a_listing_holds_cannot_inject_markup(listings: Listings, tmp_path: Path) -> None:
    frame = listings("<script>alert(1)</script>", title=["<b>x</b> {value}"], price=["{detail}"])
    items = gate.check_items(frame, known_items=None, now=NOW)
    html = report.write([items], tmp_path / "report.html", title="a & b", now=NOW).read_text()
    assert "<script>" not in html
    assert "<b>x" not in html
    assert "<title>a &amp; b</title>" in html


def test_a_report_of_many_bad_rows_stays_small_and_counts_the_rest(
    listings: Listings, photos: dict[str, Path], tmp_path: Path
) -> None:
    ids = [f"i{number}" for number in range(1500)]
    frame = listings(*ids, price=["x"] * 1500)
    copies = [tmp_path / f"copy{number}.jpg" for number in range(100)]
    for copy in copies:
        copy.write_bytes(photos["good"].read_bytes())
    frame["image_path"] = [str(copies[number % 100]) for number in range(1500)]
    items = gate.check_items(frame, known_items=None, now=NOW)
    html = report.write([items], tmp_path / "report.html", title="t", now=NOW).read_text()
    assert f"{1500 - report.MOST_ROWS:,} more are not shown here" in html
    assert html.count("data:image/jpeg;base64,") == report.MOST_THUMBNAILS
    assert len(html) < 1_000_000


@pytest.mark.parametrize(
    ("prices", "verdict"),
    [(["1"], "pass"), (["0"], "warn"), (["x"], "quarantined")],
)
def test_the_verdict_is_the_gravest_of_all_tables(
    listings: Listings, prices: list[object], verdict: str
) -> None:
    sound = gate.check_items(listings("a"), known_items=None, now=NOW)
    other = gate.check_items(listings("a", price=prices), known_items=None, now=NOW)
    assert other.verdict == verdict
    assert report.verdict_of([sound, other]) == verdict
