"""Tables by cut: what was not measured now stays as its page has it."""

import pytest

from benchmarks import cut_rows
from benchmarks.cut_rows import beside
from benchmarks.page_sections import KEPT


def row(cut, value):
    return {"cut": cut, "without": "–", "ndcg@10": value}


def test_rows_of_other_cuts_stay_in_the_order_of_the_grid():
    before = [row("retail-06-01", ".1"), row("retail-06-01, with dates", ".2"), row("ikea", ".3")]
    now = [row("marketplace", 0.5), row("ikea", 0.4)]
    shown = beside(before, now)
    assert [(one["cut"], one["ndcg@10"]) for one in shown] == [
        ("retail-06-01", ".1"),
        ("retail-06-01, with dates", ".2"),
        ("ikea", 0.4),
        ("marketplace", 0.5),
    ]


def test_a_cut_is_measured_with_all_its_rows():
    before = [row("retail-06-01", ".1"), row("retail-06-01, with dates", ".2")]
    assert beside(before, [row("retail-06-01", 0.3)]) == [row("retail-06-01", 0.3)]


def test_another_table_takes_the_place_of_what_stood_there():
    now = [row("ikea", 0.4)]
    assert beside([{"cut": "ikea", "auc": ".5"}], now) == now
    wide = [{"an event's": "recency", "ikea": "–"}]
    assert beside([{"an event's": "click", "ikea": "–"}], wide) == wide
    assert beside([], now) == now
    assert beside([row("ikea", ".3")], []) == []


def test_the_table_names_the_cuts_that_are_of_an_earlier_run(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("<!-- table:rows -->\n<!-- /table:rows -->\n")
    monkeypatch.setattr(cut_rows, "publish", lambda name, **told: None)
    monkeypatch.setattr(cut_rows, "readable", lambda cuts, data: (list(cuts), {}))
    parser = cut_rows.parser_of("rows", None, usual=("ikea",))
    for cut in ("ikea", "marketplace"):
        asked = parser.parse_args(["--cuts", cut, "--into", str(page)])
        cut_rows.run("rows", asked, lambda one: [row(one.name, 0.5)], title="rows")
    told = page.read_text()
    assert f"{KEPT}`ikea`\n" in told
    assert "`marketplace`" not in told.partition(KEPT)[2]


def test_a_run_that_measures_nothing_leaves_what_is_published(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    text = "<!-- table:rows -->\n| cut |\n| --- |\n| ikea |\n<!-- /table:rows -->\n"
    page.write_text(text)
    written = []
    monkeypatch.setattr(cut_rows, "publish", lambda name, **told: written.append(name))
    asked = cut_rows.parser_of("rows", None, usual=("ikea",)).parse_args(
        ["--cuts", "ikea", "--data", str(tmp_path / "absent"), "--into", str(page)]
    )
    with pytest.raises(SystemExit, match="nothing was measured"):
        cut_rows.run("rows", asked, lambda one: [row(one.name, 0.5)], title="rows")
    assert (page.read_text(), written) == (text, [])
