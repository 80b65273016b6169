"""The table of targets: what is met, what is missed by how much, and what was not measured."""

import json

import numpy as np
import pytest

from benchmarks import quality, tables, target_rows, targets
from benchmarks.kept_results import index, indexed, write
from benchmarks.learning_outcomes import (
    adaptation_outcomes,
    kinds_outcomes,
    own_gains_of,
    residual_outcomes,
    shots_outcomes,
    training_outcomes,
    transfer_outcomes,
)
from benchmarks.outcomes import HOLDS_ZERO, SECONDS, TRIED, at_least, at_most, published
from benchmarks.peers.registry import PUBLISHED
from benchmarks.quality_outcomes import first_by_mean_rank, outcomes
from benchmarks.quality_page import mean_ranks
from benchmarks.quality_tables import published as published_quality
from benchmarks.shots_tables import UNTAUGHT, WHOLE
from benchmarks.standings import Standing
from coldstart_models.commands import console
from tests.benchmarks.test_standings import RESULTS, USERS, cell, within


def retail(siamese, dated, months):
    """The cells of a retail cut: a kNN ensemble at .2, the models as told."""
    found = [
        within(cell("retail-06-01", "content-knn", 0.2), 0.25),
        within(cell("retail-06-01", "siamese", siamese), months),
        cell("retail-06-01", "siamese+meta", 0.1),
        within(cell("retail-06-01", "siamese+date", dated), months),
        cell("retail-06-01", "siamese+meta+date", 0.1),
    ]
    return Standing("retail-06-01", found)


def every_peer(results):
    """The cells and, of published peers that they lack, weak ones."""
    measured = {one["model"] for one in results}
    return [*results, *(cell("ikea", name, 0.01) for name in PUBLISHED if name not in measured)]


def of_cut(rows, name):
    return {row.target: row for row in rows if row.where == f"`{name}`"}


def test_a_lead_over_the_ensemble_is_met_or_missed_by_so_much():
    rows = of_cut(outcomes([retail(0.23, 0.22, 0.24)]), "retail-06-01")
    plain = rows["`siamese` or `siamese+meta` at least 1.10 × `content-knn`"]
    assert plain.row()[2:] == ["1.150 × (1.150–1.150)", "met", "–"]
    dated = rows["`siamese+date` or `siamese+meta+date` at least 1.15 × `content-knn`"]
    assert dated.row()[2:4] == ["1.100 × (1.100–1.100)", "missed by 0.050 ×"]
    assert dated.row()[4] == TRIED["dates"]
    months = rows["within launch months, the better of both ahead of `content-knn`"]
    assert months.row()[2:4] == ["−.0100 (−.0100 to −.0100)", "missed by .0100"]


def test_a_reserved_cut_is_held_against_its_targets_once_it_is_measured():
    assert of_cut(outcomes([]), "retail-09-01") == {}
    reserved = Standing("retail-09-01", retail(0.23, 0.22, 0.24).results)
    assert set(of_cut(outcomes([reserved]), "retail-09-01")) == set(
        of_cut(outcomes([]), "retail-06-01")
    )


def test_no_tuned_peer_may_be_ahead_of_the_better_one_beyond_its_interval():
    target = "no tuned peer ahead beyond its interval"
    row = of_cut(outcomes([Standing("ikea", every_peer(RESULTS))]), "ikea")[target]
    assert row.measured == "`als-map` − `siamese+meta`: −.0100 (−.0100 to −.0100)"
    assert row.missing is None
    better = every_peer([*RESULTS, cell("ikea", "lightgbm", 0.3)])
    row = of_cut(outcomes([Standing("ikea", better)]), "ikea")[target]
    assert row.row()[3] == "missed by +.0400"
    narrow, wide = cell("ikea", "lightgbm", 0.265), cell("ikea", "dropoutnet", 0.28)
    wide["pools"][0]["values"] = [
        [one * (1 + 8 * (n == 0)) / 1.27 for one in values]
        for n, values in enumerate(wide["pools"][0]["values"])
    ]
    row = of_cut(outcomes([Standing("ikea", every_peer([*RESULTS, narrow, wide]))]), "ikea")[target]
    assert row.measured.startswith("`lightgbm`")  # its mean is not the largest, its interval is


def test_a_run_of_some_models_says_nothing_of_them_all():
    """Without the peer that leads, or our better model, a target would seem met or missed."""
    peers, ensemble = (
        "no tuned peer ahead beyond its interval",
        "`siamese` or `siamese+meta` at least 1.10 × `content-knn`",
    )
    whole = every_peer(RESULTS)
    for left_out, silent in (
        ("lightgbm", [peers]),
        ("siamese+meta", [peers, ensemble]),
        ("siamese", [peers, ensemble]),
    ):
        some = [one for one in whole if one["model"] != left_out]
        rows = of_cut(outcomes([Standing("ikea", some)]), "ikea")
        assert [rows[target].known for target in (peers, ensemble)] == [
            target not in silent for target in (peers, ensemble)
        ]
    skipped = {"cut": "ikea", "seed": 0, "model": "lightgbm", "skipped": "no photos"}
    some = [one for one in whole if one["model"] != "lightgbm"]
    assert of_cut(outcomes([Standing("ikea", [*some, skipped])]), "ikea")[peers].known


def test_shares_of_the_oracle_are_of_the_cells():
    oracle = [*RESULTS, cell("marketplace", "oracle", 0.39)]
    found = list(outcomes([Standing("marketplace", oracle)]))
    assert of_cut(found, "marketplace")["at least 90% of the oracle's NDCG@10 at k = 10"].row()[
        2:4
    ] == ["not measured", "–"]  # the cells have k = 3 alone


def test_the_mean_rank_is_that_of_the_pages_own_table():
    page = published_quality(RESULTS, asked=9, left_out={}, machine={})
    assert mean_ranks(page)[1] == 1
    behind = first_by_mean_rank(*mean_ranks(page))
    assert behind.measured == "`siamese` 2.00, `als-map` 1.00, 1 cuts"
    assert behind.missing == "1.00 ranks"
    better = [*(one for one in RESULTS if one["model"] != "als-map"), cell("ikea", "als-map", 0.2)]
    page = published_quality(better, asked=9, left_out={}, machine={})
    assert first_by_mean_rank(*mean_ranks(page)).missing is None
    assert not first_by_mean_rank(*mean_ranks("")).known


def first_customers(gains, *, seed=0, warm=None, cut="retail-06-01"):
    """Of each k the gain of what is kept; the smoothed rate gains 5 %, the neighbours nothing."""
    plain = np.random.default_rng(seed).uniform(0.1, 0.5, USERS)
    pools = [
        {
            "shots": shots,
            "users": list(range(USERS)),
            "without": plain.tolist(),
            "with": {
                WHOLE: (plain * (1 + found)).tolist(),
                "smoothed-rate": (plain * 1.05).tolist(),
                "neighbours": plain.tolist(),
            },
        }
        for shots, found in gains.items()
    ]
    return {"cut": cut, "contest": {}, "pools": pools, "warm": warm}


def test_first_customers_are_held_against_their_targets_and_plain_learners():
    gains = {1: 0.01, 3: 0.08, 10: 0.06, 20: 0.2}
    warm = {"alone, before meta-training": 0.2, "alone, after": 0.199}
    warm |= {"among new listings, without support": 0.1, "among new listings, with support": 0.05}
    found = shots_outcomes("retail-06-01", [first_customers(gains, warm=warm)])
    rows = {row.target: row for row in found}
    assert rows["never under k = 0"].measured == "least gain +1.0 % (+1.0 % to +1.0 %)"
    verdicts = {k: rows[f"at least {x} × k = 0 at k = {k}"].row()[3]
                for k, x in ((3, "1.04"), (10, "1.10"), (20, "1.15"))}  # fmt: skip
    assert verdicts == {3: "met", 10: "missed by 4.0 points", 20: "met"}
    assert rows["the gain does not fall as k grows"].row()[3] == "missed by 2.0 points"
    assert rows["ahead of `neighbours` at every k"].missing is None
    assert rows["ahead of `smoothed-rate` at every k"].row()[3].startswith("missed by .0")
    assert rows["warm items alone lose at most 1 %"].missing is None
    among = rows["warm items among new listings with 10 customers lose at most 1 %"]
    assert among.row()[2:4] == ["0.1000 → 0.0500, -50.0%", "missed by 49.0 points"]


def test_a_shop_of_few_customers_is_asked_that_the_gain_is_one_and_does_not_fall():
    cell = first_customers({1: 0.3}, cut="ikea")
    cell["pools"][0]["with"][UNTAUGHT] = cell["pools"][0]["without"]
    found = list(shots_outcomes("ikea", [cell]))
    assert [(row.target, row.known) for row in found] == [
        ("the gain does not fall as k grows", False),
        ("the meta-learned term has a gain of its own, interval above 0", True),
    ]
    assert [row.known for row in shots_outcomes("ikea", [])] == [False, False]


def test_a_gain_is_ones_own_where_its_whole_interval_is_above_what_is_untaught():
    def verdict(cell):
        (row,) = [row for row in shots_outcomes("ikea", [cell]) if "of its own" in row.target]
        return row.row()[2:4]

    steady = first_customers({1: 0.3, 10: 0.2, 20: -0.5}, cut="ikea")
    assert verdict(steady) == ["not measured", "–"]
    for pool, gained in zip(steady["pools"], (0.1, 0.0, 0.0), strict=True):
        pool["with"][UNTAUGHT] = [(1 + gained) * one for one in pool["without"]]
    assert verdict(steady) == ["k = 10: +20.0 % (+20.0 % to +20.0 %)", "met"]
    at_ten = steady["pools"][1]
    at_ten["with"][UNTAUGHT] = at_ten["with"][WHOLE]
    assert verdict(steady)[1] == "missed by no gain"
    at_ten["with"] = at_ten["with"] | {WHOLE: [*at_ten["with"][WHOLE]]}
    at_ten["with"][WHOLE][0] *= 2
    assert verdict(steady)[1] == "missed by an interval that holds 0"


def test_a_gain_of_its_own_is_read_from_the_page_where_its_results_are_gone():
    page = (
        "**ikea**: 5 seed(s).\n\n| ndcg@10 | k = 1 | k = 10 | k = 20 |\n"
        "| --- | ---: | ---: | ---: |\n| `kept` | +9.0 % | +9.0 % | +9.0 % |\n"
        "| `kept`, over it untaught | +1.0 % (+.5 % to +2.0 %) | "
        "+2.0 % (−0.5 % to +4.0 %) | – |\n\n"
        "**marketplace**: 1 seed(s).\n\n"
        "| ndcg@10 | k = 3 |\n| --- | ---: |\n| `kept` | +9.0 % |\n\n"
        "- machine: cpus 2\n"
    )
    (found,) = own_gains_of(page)
    assert found.row()[:4] == [
        "the meta-learned term has a gain of its own, interval above 0",
        "`ikea`",
        "k = 10: +2.0 % (−0.5 % to +4.0 %)",
        "missed by an interval that holds 0",
    ]


def test_the_learned_residual_is_asked_for_what_the_ablation_loses_without_it():
    def row(cut, without, lost, low, high):
        row = {"cut": cut, "without": without, "ndcg@10 lost": lost}
        return {**row, "low": low, "high": high}

    rows = [
        row("a", "learned: the towers", 0.004, 0.001, 0.007),
        row("a", "learned: everything", 0.1, 0.09, 0.11),
        row("b", "learned: the towers", 0.0004, -0.001, 0.0017),
        row("c", "learned: the towers", 0.0, 0.0, 0.0),
    ]
    told = [one.row()[1:4] for one in residual_outcomes(["a", "b", "c"], {"rows": rows})]
    assert told == [
        ["`a`", "+.0040 (+.0010 to +.0070)", "met"],
        ["`b`", "+.0004 (−.0010 to +.0017)", "missed by an interval that holds 0"],
        ["`c`", "+.0000 (+.0000 to +.0000)", "missed by no gain"],
    ]
    some = residual_outcomes(["b", "d"], {"rows": rows})
    assert [(one.where, one.known) for one in some] == [("`b`", True), ("`d`", False)]
    assert [one.known for one in residual_outcomes(["a"], None)] == [False]


def test_the_kind_in_which_ours_leads_least_is_held_against_popularity():
    def cut(name, *leads):
        rows = [
            {"model": model, "by": "warmth", "group": group, "ndcg@10": ndcg, "count": 7, **more}
            for group, lead in leads
            for model, ndcg, more in (
                ("popularity", 0.2, {}),
                ("siamese", 0.2 + lead, {"over_popularity": [lead - 0.01, lead + 0.01]}),
            )
        ]
        return {"source": name, "split": "x", "breakdowns": rows}

    result = {"cuts": [cut("a", ("new", 0.1), ("1–5", 0.02)), cut("b", ("new", 0.1), ("0", -0.03))]}
    ahead, behind, absent = kinds_outcomes(["a", "b", "c"], result)
    assert ahead.row()[1:4] == ["`a`", "warmth 1–5 (7 users): +.0200 (+.0100 to +.0300)", "met"]
    least = "warmth 0 (7 users): −.0300 (−.0400 to −.0200)"
    assert behind.row()[1:4] == ["`b`", least, "missed by .0300"]
    assert not absent.known
    assert [one.known for one in kinds_outcomes(["a"], None)] == [False]


def test_a_kind_without_a_hit_is_no_draw():
    def rows(group, popularity, siamese):
        return [
            {"model": model, "by": "history", "group": group, "ndcg@10": ndcg, "count": 3}
            for model, ndcg in (("popularity", popularity), ("siamese", siamese))
        ]

    def told(*groups):
        found = {"source": "a", "breakdowns": [row for one in groups for row in rows(*one)]}
        (row,) = kinds_outcomes(["a"], {"cuts": [found]})
        return row.row()[2:4]

    silent, equal = ("0", 0.0, 0.0), ("1–4", 0.2, 0.2)
    ahead, behind = ("5–19", 0.1, 0.3), ("20+", 0.1, 0.0)
    least = "history 5–19 (3 users): +.2000; in 1 of 2 kinds neither has a hit"
    assert told(silent, ahead) == [least, "met"]
    assert told(equal, ahead) == ["history 1–4 (3 users): +.0000", "met"]
    assert told(behind, ahead)[1] == "missed by .1000"
    assert told(silent) == ["not measured", "–"]


def test_transfer_is_held_against_both_arms_at_a_tenth_of_the_events():
    row = {"target": "`ikea`", "share": "10%", "over alone": "+.0182 (+.0054 to +.0304)",
           "over alone, %": "+27.1", "over unlearned": "+.0012 (−.0006 to +.0032)",
           "over unlearned, %": "+1.4"}  # fmt: skip
    shop = row | {"target": "`shop`, generated data", "over alone, %": "+9.0"}
    found = transfer_outcomes(["ikea", "shop"], {"rows": [row, row | {"share": "3%"}, shop]})
    alone, generated, unlearned, _ = found
    assert generated.row()[1] == "`shop`"
    assert generated.row()[3] == "missed by 1.0 points"
    assert alone.row()[1:4] == ["`ikea`", "+27.1 %, +.0182 (+.0054 to +.0304)", "met"]
    assert unlearned.row()[3] == "missed by 8.6 points"
    assert unlearned.row()[4] == TRIED["transfer"]
    (missing, _) = transfer_outcomes(["ikea"], {"rows": [row | {"over alone, %": "–"}]})
    assert not missing.known
    absent = [*transfer_outcomes(["ikea", "shop"], {"rows": [row]})]
    assert [(one.where, one.known) for one in absent[:2]] == [("`ikea`", True), ("`shop`", False)]


def test_training_tells_minutes_memory_and_growth():
    growth = {
        "train: events": 100.0,
        "train: ms a step": 1.1,
        "train: seconds": 3.0,
        "train: MB": 1.6,
    }
    shop = {"minutes in all": 12.5, "MB at most": 1900}
    whole, flat = training_outcomes({"online_retail_dev_y1": shop, "growth": growth})
    assert whole.row()[2:4] == ["12.5 minutes, 1,900 MB", "missed by 2.5 minutes"]
    assert flat.where == "generated, train"
    assert flat.row()[3] == "missed by 0.350 ×"
    assert [row.known for row in training_outcomes(None)] == [False, False]


def test_an_encoder_counts_by_titles_and_by_the_best_that_has_photos_alone():
    def row(variant, told, kept=5):
        return {"data": "ikea", "variant": variant, "seeds": 5, "kept": kept, "precision@10": told}

    rows = [
        row("labels", "0.4 → 0.6, +50.0% (+40.0% to +60.0%)"),
        row("titles", "0.4 → 0.48, +21.6% (+17.4% to +25.4%)"),
        row("adabn", "0.4 → 0.41, +2.5% (-1.0% to +6.0%)"),
        row("source + coral", "0.4 → 0.4, +0.5% (-1.0% to +2.0%)"),
        row("source + dann", "0.4 → 0.4, +0.4% (-1.0% to +2.0%)"),
        row("photos alone", "0.4 → 0.44, +10.5% (-1.0% to +21.0%)"),
        row("no learning, principal components alone", "0.4 → 0.5, +25.0% (+20.0% to +30.0%)", "–"),
    ]
    titles, photos = adaptation_outcomes({"rows": rows})
    assert titles.measured == "titles, 5 seeds: +21.6% (+17.4% to +25.4%)"
    assert titles.missing is None
    assert photos.measured.startswith("photos alone, the best of 4, 5 seeds: +10.5%")
    assert photos.missing == HOLDS_ZERO
    titles, photos = adaptation_outcomes({"rows": rows[2:5]})  # one of the four was not measured
    assert not titles.known
    assert not photos.known
    *_, photos = adaptation_outcomes(
        {"rows": [*rows[2:5], row("photos alone", rows[2]["precision@10"])]}
    )
    assert photos.row()[3] == "missed by 7.5 points"
    assert not any(one.known for one in adaptation_outcomes(None))


def test_the_head_counts_what_was_measured_alone():
    rows = [
        at_least("a", "x", 1.0, 0.5, "content", told="1"),
        at_least("b", "x", 0.1, 0.5, "content", told=".1"),
        at_least("c", "x", None, 0.5, "content", told=""),
    ]
    text = published([one.row() for one in rows])
    assert text.startswith("1 of 2 measured targets are met; 1 was not measured.\n\n| target |")
    assert "| c | x | not measured | – | – |" in text


def test_an_upper_bound_is_met_at_the_bound_and_missed_by_what_is_over_it():
    def told(value):
        return at_most("a", "x", value, 5.0, "serving", told="so", unit=SECONDS).row()[2:4]

    assert told(5.0) == ["so", "met"]
    assert told(5.25) == ["so", "missed by 0.25 s"]
    assert told(None) == ["not measured", "–"]


def test_an_index_names_the_results_that_are_there(tmp_path):
    write({"cut": "a"}, tmp_path / "cells" / "a.json")
    index([tmp_path / "cells" / "a.json", tmp_path / "cells" / "gone.json"], tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text()) == {"cells": ["cells/a.json"]}
    assert indexed(tmp_path / "all.json") == [{"cut": "a"}]
    assert indexed(tmp_path / "none.json") == []


@pytest.mark.parametrize("there", [False, True])
def test_the_table_is_of_what_the_benchmarks_left(tmp_path, monkeypatch, there):
    page, results = tmp_path / "page.md", tmp_path / "results"
    names = ("targets", "quality", "shots")
    marks = [f"<!-- table:{name} -->\n<!-- /table:{name} -->\n" for name in names]
    page.write_text("".join(marks))
    results.mkdir()
    if there:
        paths = []
        for number, one in enumerate(every_peer(RESULTS)):
            paths.append(results / "quality" / "cells" / f"{number}.json")
            write(one, paths[-1])
        index(paths, results / "quality.json")
    monkeypatch.setattr(console, "say", lambda text: None)
    monkeypatch.setattr("sys.argv", ["targets", "--results", str(results), "--into", str(page)])
    targets.main()
    told = page.read_text()
    assert ("2 of 2 measured targets are met" in told) == there
    assert ("0 of 0 measured targets are met" in told) != there
    assert "| `retail-06-01` | not measured |" in told


def test_what_a_lost_machine_measured_stays_on_the_page_as_it_was(tmp_path, monkeypatch):
    page, results, told = tmp_path / "page.md", tmp_path / "results", []
    text = quality.DOCUMENT.read_text(encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    monkeypatch.setattr(console, "say", told.append)
    monkeypatch.setattr("sys.argv", ["targets", "--results", str(results), "--into", str(page)])
    before = target_rows.standing(text, name="targets")
    targets.main()
    once = page.read_text(encoding="utf-8")
    after = target_rows.standing(once, name="targets")
    assert [row for row in after if row in before] == before
    assert all(row[2] == "not measured" for row in after if row not in before)
    targets.main()
    assert page.read_text(encoding="utf-8") == once
    assert told[0] == told[1] == tables.standing(once, name="targets").removeprefix("\n")


def test_first_customers_of_all_three_retail_cuts_are_held_against_their_targets(tmp_path):
    found = [one for one in targets.held_against(tmp_path) if one.target == "never under k = 0"]
    assert [one.where for one in found] == ["`retail-06-01`", "`retail-07-15`", "`retail-09-01`"]
