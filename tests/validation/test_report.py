import re
from pathlib import Path

import pandas as pd
import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, history, report
from validation.summary import summary_of


def test_the_report_says_what_to_mend_in_one_file(
    listings: Listings, photos: dict[str, Path], tmp_path: Path
) -> None:
    frame = listings("sofa", "lamp", "rug", price=["x", "1", "1"])
    frame["image_path"] = [str(photos["good"]), str(photos["bomb"]), str(photos["blank"])]
    items = gate.check_items(frame, known_items=None, now=NOW)

    path = report.write(
        [summary_of([items])], tmp_path / "made" / "report.html", title="Shop", now=NOW
    )

    html = path.read_text(encoding="utf-8")
    assert "<title>Shop</title>" in html
    assert "Some rows are in quarantine" in html
    assert "give a price such as 12.50, or leave it empty" in html
    assert "claims more than 50 million pixels" in html
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
    html = report.write(
        [summary_of([items])], tmp_path / "report.html", title="a & b", now=NOW
    ).read_text()
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
    html = report.write(
        [summary_of([items])], tmp_path / "report.html", title="t", now=NOW
    ).read_text()
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


def test_the_report_compares_with_the_catalogue_and_names_who_has_most_to_mend(
    listings: Listings, tmp_path: Path
) -> None:
    ids = [f"k{number}" for number in range(100)]
    known = gate.check_items(
        listings(*ids, price=[10 + number % 40 for number in range(100)]),
        known_items=None,
        now=NOW,
    ).accepted
    new = [f"n{number}" for number in range(60)]
    frame = listings(*new, price=["x"] * 5 + [400 + number for number in range(55)])
    frame["brand"] = ["Acme"] * 20 + ["Bolt"] * 40
    items = gate.check_items(frame, known_items=known, now=NOW)
    path = report.write(
        [summary_of([items])], tmp_path / "r.html", title="t", now=NOW, known_items=known
    )
    html = path.read_text()
    assert "Most to mend, by brand" in html
    assert re.search(r"<td>Acme</td><td[^>]*>5</td>", html)
    assert "Against the catalogue" in html
    assert re.search(r"<td>price</td>.*drifted", html)
    assert html.count("<svg") == 1
    alone = report.write(
        [summary_of([items])], tmp_path / "alone.html", title="t", now=NOW
    ).read_text()
    assert "Against the catalogue" not in alone


def test_earlier_runs_show_as_a_trend_and_of_many_rows_the_rest_is_a_download(
    listings: Listings, tmp_path: Path
) -> None:
    ids = [f"i{number}" for number in range(report.MOST_ROWS + 50)]
    items = gate.check_items(
        listings(*ids, price=["x"] * len(ids)), known_items=None, now=NOW, source="shop"
    )
    for _ in range(3):
        history.record([summary_of([items])], folder=tmp_path, source="shop", step="ingest")
    runs = history.runs(tmp_path)
    path = report.write([summary_of([items])], tmp_path / "r.html", title="t", now=NOW, runs=runs)
    assert path.read_text().count('class="held"') == 3
    assert 'href="r.items.csv"' in path.read_text()
    assert len(pd.read_csv(tmp_path / "r.items.csv")) == len(ids)
    sound = gate.check_items(listings("a"), known_items=None, now=NOW)
    report.write([summary_of([sound])], path, title="t", now=NOW)
    assert not (tmp_path / "r.items.csv").exists()
