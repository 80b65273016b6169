import json

import pytest

from benchmarks import results, tables


def row(model, pool, *, shots=0, ndcg, auc=0.5):
    return {
        "model": model,
        "shots": shots,
        "pool": pool,
        "recall@20": 0.25,
        "ndcg@10": ndcg,
        "mrr": 1.0,
        "auc": auc,
        "interval": {"ndcg@10": [ndcg - 0.01, ndcg + 0.01]},
        "num_users": 7,
        "num_candidates": 9,
    }


RESULT = {
    "source": "shop",
    "generated": False,
    "split": "cutoff 2010-07-01",
    "seeds": 2,
    "results": [
        row("random", "cold", ndcg=0.1),
        row("siamese", "cold", ndcg=0.2, auc=None),
        row("random", "full", ndcg=0.05),
        row("siamese", "cold>1", ndcg=0.2),
        row("siamese", "cold>1", shots=1, ndcg=0.3),
    ],
}

COLD = """\
Pool `cold`: cutoff 2010-07-01; 7 users, 9 candidates, 2 seed(s).

| model | recall@20 | ndcg@10 | mrr | auc | ndcg@10, 95 % |
| --- | ---: | ---: | ---: | ---: | ---: |
| `random` | **.2500** | .1000 | **1.0000** | **.5000** | .0900–.1100 |
| `siamese` | **.2500** | **.2000** | **1.0000** | – | .1900–.2100 |
"""

SHOTS = """\
ndcg@10 without → with a listing's first k customers, each pair on the same pool (cold items \
with more than k):

| model | k = 1 |
| --- | ---: |
| `siamese` | .2000 → .3000 |
"""


def test_a_result_becomes_a_table_of_models_and_one_of_shots():
    assert tables.markdown(RESULT, pools=["cold"]) == f"{COLD}\n{SHOTS}"


def test_every_pool_is_shown_where_none_is_named():
    assert "Pool `full`" in tables.markdown(RESULT)
    assert "Pool `cold>1`" not in tables.markdown(RESULT)


def test_generated_data_is_said_to_be_so():
    assert "Pool `cold`, generated data: " in tables.markdown({**RESULT, "generated": True})


def test_tables_go_between_their_marks_alone():
    text = "a\n<!-- table:x -->\nold\n<!-- /table:x -->\nb\n"
    assert (
        tables.placed(text, "new\n", name="x") == "a\n<!-- table:x -->\nnew\n<!-- /table:x -->\nb\n"
    )
    with pytest.raises(ValueError, match="no place <!-- table:y -->"):
        tables.placed(text, "new\n", name="y")


def test_what_stands_between_marks_is_read_as_it_was_put():
    columns, rows = ["what", "ms", "why"], [["`a` − `b`", "1,200", "[x](#y)"], ["c", "", "–"]]
    text = "before\n<!-- table:x -->\n<!-- /table:x -->\nafter\n"
    assert tables.rows_of(tables.standing(text, name="x")) == []
    told = f"2 rows.\n\n{tables.table(columns, rows)}\n- fact: 1\n"
    text = tables.placed(text, told, name="x")
    assert tables.standing(text, name="x") == f"\n{told}"
    read = tables.rows_of(tables.standing(text, name="x"))
    assert [list(row) for row in read] == [columns, columns]
    assert [list(row.values()) for row in read] == rows
    with pytest.raises(ValueError, match="no place <!-- table:y -->"):
        tables.standing(text, name="y")


def test_a_row_of_other_cells_than_the_columns_is_no_table():
    with pytest.raises(ValueError, match="zip"):
        tables.rows_of("| a | b |\n| --- | ---: |\n| 1 |\n")


def test_what_a_benchmark_publishes_is_in_its_file(tmp_path, capsys):
    path = results.publish(
        "speed", title="Speed", rows=[{"what": "a", "s": 1.5}], folder=tmp_path, ratio=2
    )
    told = json.loads(path.read_text())
    assert (told["benchmark"], told["ratio"], told["rows"]) == (
        "speed",
        2,
        [{"what": "a", "s": 1.5}],
    )
    assert told["machine"]["cpus"] >= 1
    assert [file.name for file in tmp_path.iterdir()] == ["speed.json"]
    assert "ratio: 2" in capsys.readouterr().out


def test_what_a_benchmark_published_becomes_a_table_and_its_facts():
    text = tables.published(
        {
            "benchmark": "gate",
            "machine": {"cpus": 2, "gpu": "none"},
            "ratio": 1.25,
            "rows": [{"what": "job", "rows": 1200}, {"what": "bare", "rows": 7}],
        }
    )
    assert text == (
        "| what | rows |\n| --- | ---: |\n| job | 1,200 |\n| bare | 7 |\n\n"
        "- machine: cpus 2, gpu none\n- ratio: 1.25\n"
    )


def test_a_comparison_of_encoders_shows_the_best_of_each_metric_with_intervals():
    def measured(value):
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "count": 9}

    def encoder(name, modality, **metrics):
        return {
            "encoder": name,
            "modality": modality,
            "width": 3,
            "licence": "MIT",
            "items_per_second": 12.3,
            "measured": {metric: measured(value) for metric, value in metrics.items()},
        }

    result = {
        "sample": 10,
        "items": 20,
        "split": None,
        "encoders": [encoder("a", "image", p=0.5, n=0.25), encoder("b", "text", p=0.75)],
        "pairs": [
            {
                "image": "a",
                "text": "b",
                "shared_space": True,
                "candidates": 2,
                "measured": {"recall@1": measured(0.5)},
            }
        ],
    }
    told = tables.compared(result)
    assert told.startswith("10 of 20 items.\n\n| encoder | modality | width | licence | items/s |")
    assert "| `a` | image | 3 | MIT | 12 | .5000 (.4000–.6000) | **.2500** (.1500–.3500) |" in told
    assert "| `b` | text | 3 | MIT | 12 | **.7500** (.6500–.8500) | – |" in told
    assert "among 2 photos" in told
    assert "| `a` and `b` | shared | **.5000** (.4000–.6000) |" in told


def test_kinds_of_table_are_asked_for_on_the_command_line(tmp_path, monkeypatch, capsys):
    files = []
    for name in ("a", "b"):
        file = tmp_path / f"{name}.json"
        breakdown = {"by": "warmth", "group": "new", "recall@20": 0.5, "ndcg@10": 0.2, "count": 4}
        rows = [{"model": model, **breakdown} for model in ("popularity", "siamese")]
        more = {"source": name, "breakdowns": rows, "reliability": [], "demand": [], "personal": []}
        file.write_text(json.dumps(RESULT | more))
        files.append(str(file))
    document = tmp_path / "page.md"
    document.write_text("<!-- table:cells -->\n<!-- /table:cells -->\n")

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["tables", *arguments])
        tables.main()

    run(*files, "--cells", "--into", str(document), "--name", "cells")
    assert "**b**: cutoff 2010-07-01." in document.read_text()
    assert document.read_text().count("is at least `popularity` in all 1 cells") == 2
    run(files[0])
    assert capsys.readouterr().out.startswith("Pool `cold`")
    with pytest.raises(SystemExit):
        run(*files)
    assert "several files are for --cells and --control" in capsys.readouterr().err
    with pytest.raises(ValueError, match="tells chances or can be steered"):
        run(*files, "--control")


def test_rows_that_were_not_measured_now_stay_in_their_places(tmp_path, monkeypatch):
    page, measured = tmp_path / "page.md", tmp_path / "found.json"
    old = tables.table(["data", "seeds", "gain"], [["ikea", "5", "+1 %"], ["shop", "5", "+2 %"]])
    page.write_text(f"a\n<!-- table:x -->\n{old}\n- base: old\n<!-- /table:x -->\nb\n")
    rows = [{"data": "else", "seeds": 1, "gain": "+4 %"}, {"data": "ikea", "seeds": 5, "gain": "0"}]
    measured.write_text(json.dumps({"benchmark": "x", "rows": rows, "base": "new"}))
    given = ["tables", str(measured), "--into", str(page), "--name", "x", "--keep", "data"]
    monkeypatch.setattr("sys.argv", given)
    tables.main()
    found = tables.standing(page.read_text(), name="x")
    assert [tuple(row.values()) for row in tables.rows_of(found)] == [
        ("ikea", "5", "0"),
        ("shop", "5", "+2 %"),
        ("else", "1", "+4 %"),
    ]
    assert "- base: new\n" in found
    measured.write_text(json.dumps({"benchmark": "x", "rows": [{"data": "ikea"}]}))
    with pytest.raises(ValueError, match="the page has the columns data, seeds, gain"):
        tables.main()
    monkeypatch.setattr("sys.argv", [*given[:2], "--keep", "data"])
    with pytest.raises(SystemExit):
        tables.main()
