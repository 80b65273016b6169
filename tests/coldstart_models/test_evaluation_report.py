import html
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from coldstart_models.evaluation_plots import breakdown_plot
from coldstart_models.evaluation_report import (
    MAX_EXAMPLES,
    THUMBNAIL,
    Example,
    ExampleItem,
    thumbnail,
    write_report,
)
from coldstart_models.reliability import reliability
from tests.coldstart_models.peers.test_contract import board_truth
from tests.coldstart_models.test_benchmarking import on_board

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def result():
    return on_board(truth=board_truth())


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (600, 400, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def written(result, examples, tmp_path, **options):
    options = {"title": "Board", "generated": False, "now": NOW} | options
    path = write_report(result, examples, tmp_path / "out" / "report.html", **options)
    return path.read_text(encoding="utf-8")


def test_the_report_fetches_nothing_and_shows_every_model_and_pool(result, tmp_path):
    page = written(result, [], tmp_path)
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "@import" not in page
    for model in result.models:
        assert page.count(f"<td>{model}</td>") == len({"cold", "month", "full"}) + 1
    for pool in ("cold", "month", "full"):
        assert f"Pool “{pool}”" in page
    assert "2026-01-02 03:04 UTC" in page
    assert len(page) < 400_000


def test_listings_own_errors_are_told_as_said_and_as_found(result, tmp_path):
    chances, chosen = np.full((4, 20), -np.log(20), np.float32), np.eye(4, 20, dtype=bool)
    bare = replace(reliability("m", chances, chosen, own_variance=0.56), own_found=0.61)
    known = replace(bare, pool="cold>5", shots=5, own_said=0.36, own_found=0.44)
    same_pool = replace(known, shots=0, own_said=0.9)
    page = written(replace(result, reliability=[bare, same_pool, known]), [], tmp_path)
    assert "(m): 0.56 and 0.61 with 0, 0.36 and 0.44 with 5." in page
    assert "own log rate" in page
    assert "own log rate" not in written(replace(result, reliability=[]), [], tmp_path)


def test_the_plots_take_the_colour_of_the_page(result, tmp_path):
    page = written(result, [], tmp_path)
    titles = ["Quality on new listings", "Quality against shots", "Per history length"]
    for title in [*titles, "Cold against warm"]:
        assert f"<h2>{title}</h2>" in page
    assert "Per category" not in page  # the board has no categories
    assert "#010203" not in page
    assert page.count("<svg") == 4
    assert "prefers-color-scheme: dark" in page


def test_a_category_with_prices_in_it_is_written_as_it_is(result):
    name = "$10 (20% off $50) ^{"
    groups = [
        replace(one, by="category", group=name)
        for one in result.breakdowns
        if one.group == result.breakdowns[0].group
    ]
    told = breakdown_plot(replace(result, breakdowns=groups), by="category")
    assert "$10 (20% off $50) ^{" in html.unescape(told)


def test_generated_data_is_said_to_be_so(result, tmp_path):
    assert "This data is generated" in written(result, [], tmp_path, generated=True)
    assert "This data is generated" not in written(result, [], tmp_path)


def test_examples_show_photos_reasons_and_later_choices(result, tmp_path, photo):
    examples = [
        Example(
            "u1",
            [ExampleItem("i1", "Oak <b>chair</b>", photo)],
            [ExampleItem("i2", "Lamp", None, "like the Oak chair", chosen=True)],
        )
    ]
    page = written(result, examples, tmp_path)
    assert "Oak &lt;b&gt;chair&lt;/b&gt;" in page
    assert 'src="data:image/jpeg;base64,' in page
    assert "no photo" in page
    assert "like the Oak chair" in page
    assert "chosen later" in page


def test_the_report_shows_a_bounded_number_of_examples(result, tmp_path):
    examples = [Example(f"user-{n}", []) for n in range(MAX_EXAMPLES + 5)]
    assert written(result, examples, tmp_path).count("<h3>User") == MAX_EXAMPLES


def test_a_thumbnail_is_small_and_a_broken_photo_is_shown_as_absent(photo, tmp_path):
    assert 0 < len(thumbnail(photo)) < 40_000
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:100])
    assert thumbnail(broken) == thumbnail(tmp_path / "gone.jpg") == thumbnail(None) == ""
    assert THUMBNAIL == 112


def test_the_same_result_gives_the_same_page(result, tmp_path):
    assert written(result, [], tmp_path) == written(result, [], tmp_path)


def test_what_was_left_out_is_said(result, tmp_path):
    assert "nobody chose a warm item for the first time" in written(result, [], tmp_path)
