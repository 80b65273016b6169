"""A run of some cuts leaves the published tables of the others as they are."""

from benchmarks.page_sections import KEPT, Sections
from benchmarks.peers.registry import PUBLISHED
from benchmarks.quality_page import Head, beside
from benchmarks.tables import number, rows_of, table
from coldstart_models.metrics import NDCG

PEERS = (
    "ndcg@10 of the Siamese models less that of the strongest published peer.\n\n"
    "| cut | seeds | strongest published peer |\n| --- | ---: | ---: |\n"
)
ONE = {"siamese": 0.3, "lightgbm": 0.2, "als-map": 0.1, "content-knn": 0.15}
OTHER = {"siamese": 0.1, "lightgbm": 0.2, "als-map": 0.3, "content-knn": 0.15}


def run(cuts: dict[str, dict[str, float]], *, seeds: int) -> str:
    """What a run publishes: cut → model → NDCG@10 there."""
    peers, sections = "", ""
    for cut, ndcg in cuts.items():
        rivals = {name: value for name, value in ndcg.items() if name in PUBLISHED}
        if rivals and "siamese" in ndcg:
            best = max(rivals, key=lambda name: rivals[name])
            peers += f"| `{cut}` | {seeds} | `{best}` {number(rivals[best])} |\n"
        top = max(ndcg.values())
        rows = [
            [f"`{name}`", str(seeds), number(value, best=value == top)]
            for name, value in ndcg.items()
        ]
        sections += (
            f"**{cut}**: 9 users, 9 candidates.\n\n"
            f"{table(['model', 'seeds', NDCG], rows)}\n`{cut}`, {NDCG} within months.\n\n"
        )
    return f"{PEERS}{peers}\n{sections}- machine: cpus 2\n- cells: {seeds} of 9 measured\n"


FIRST = run({"retail-06-01": ONE, "ikea": ONE, "marketplace": OTHER}, seeds=3)


def head_of(text: str) -> Head:
    return Head.of(Sections.of(text).head)


def test_a_run_of_all_cuts_stands_alone() -> None:
    assert beside("", FIRST) == FIRST
    assert beside(FIRST, FIRST) == FIRST


def test_cuts_that_a_run_did_not_measure_stay_and_the_others_are_its_own() -> None:
    again = run({"ikea": OTHER}, seeds=5)
    page, before, own = (Sections.of(text) for text in (beside(FIRST, again), FIRST, again))
    assert [*page.cuts] == ["retail-06-01", "ikea", "marketplace"]
    assert page.cuts["ikea"] == own.cuts["ikea"] != before.cuts["ikea"]
    for cut in ("retail-06-01", "marketplace"):
        assert page.cuts[cut] == before.cuts[cut]
    assert {row["cut"]: row["seeds"] for row in rows_of(Head.of(page.head).peers)} == {
        "`retail-06-01`": "3",
        "`ikea`": "5",
        "`marketplace`": "3",
    }
    assert page.facts.endswith(f"{KEPT}`retail-06-01`, `marketplace`")
    assert "5 of 9 measured" in page.facts


def ranks_of(text: str) -> dict[str, list[str]]:
    """Model → its mean rank, and its rank on each cut."""
    rows = [[*row.values()] for row in rows_of(head_of(text).ranks)]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_ranks_are_of_what_stands_on_the_page() -> None:
    page = beside(FIRST, run({"ikea": OTHER}, seeds=5))
    assert ranks_of(page) == {
        "als-map": ["2.00", "4", "1", "1"],
        "lightgbm": ["2.00", "2", "2", "2"],
        "content-knn": ["3.00", "3", "3", "3"],
        "siamese": ["3.00", "1", "4", "4"],
    }


def test_a_new_peer_is_ranked_once_every_cut_has_it() -> None:
    page = FIRST
    for cut, ndcg in (("retail-06-01", ONE), ("ikea", ONE), ("marketplace", OTHER)):
        assert "melu" not in ranks_of(beside(page, run({"ikea": ONE}, seeds=3)))
        page = beside(page, run({cut: ndcg | {"melu": 0.9}}, seeds=3))
    assert ranks_of(page)["melu"] == ["1.00", "1", "1", "1"]


def test_a_model_that_alone_was_measured_again_takes_its_row() -> None:
    page = beside(FIRST, run({"ikea": {"siamese": 0.3, "lightgbm": 0.4}}, seeds=5))
    section = Sections.of(page).cuts["ikea"]
    assert {row["model"]: (row["seeds"], row[NDCG]) for row in rows_of(section)} == {
        "`siamese`": ("5", ".3000"),
        "`lightgbm`": ("5", "**.4000**"),
        "`als-map`": ("3", ".1000"),
        "`content-knn`": ("3", ".1500"),
    }
    assert ranks_of(page)["lightgbm"] == ["1.67", "2", "1", "2"]
    peers = {row["cut"]: row for row in rows_of(head_of(page).peers)}
    assert peers["`ikea`"] == {
        "cut": "`ikea`",
        "seeds": "5",
        "strongest published peer": "`lightgbm` .4000",
    }
    assert Sections.of(page).facts.endswith(
        f"{KEPT}`retail-06-01`, `marketplace`; `ikea` but for `siamese`, `lightgbm`"
    )


DATED_KNN_TOLD = "`ikea`, ndcg@10 with dates less that of `content-knn+date`: "
ORACLE = "`ikea`, ndcg@10 as a share of that of `oracle`.\n\n"


def section_of(dated: str, oracle: list[list[str]]) -> str:
    """A cut's section with a sentence and a table whose rows are called otherwise."""
    shares = table(["share of the oracle", "k = 0"], oracle)
    return run({"ikea": ONE}, seeds=3).replace(
        "`ikea`, ndcg@10 within months.", f"{DATED_KNN_TOLD}{dated}.\n\n{ORACLE}{shares}"
    )


def test_every_table_and_the_sentence_of_dates_keep_the_models_of_both() -> None:
    whole = section_of(
        "`siamese+date` +.0330 (+.0272 to +.0392), `siamese+meta+date` +.0278 (+.0201 to +.0357)",
        [["`content-knn`", "70.1%"], ["`siamese`", "80.1% (79%–81%)"], ["`melu`", "60.0%"]],
    )
    part = section_of("`siamese+meta+date` −.0100 (−.0200 to +.0000)", [["`siamese`", "81.0%"]])
    part = "\n".join(line for line in part.splitlines() if "`lightgbm`" not in line)
    section = Sections.of(beside(whole, part)).cuts["ikea"]
    assert (
        f"{DATED_KNN_TOLD}`siamese+date` +.0330 (+.0272 to +.0392), "
        "`siamese+meta+date` −.0100 (−.0200 to +.0000).\n"
    ) in section
    shares = section.partition(ORACLE)[2]
    assert {row["share of the oracle"]: row["k = 0"] for row in rows_of(shares)} == {
        "`content-knn`": "70.1%",
        "`melu`": "60.0%",
        "`siamese`": "81.0%",
    }


def test_what_the_page_lacks_of_a_cut_comes_to_it() -> None:
    few = run({"ikea": {"siamese": 0.3, "aldi": 0.1}}, seeds=3)
    part = section_of("`siamese+date` +.0330 (+.0272 to +.0392)", [["`siamese`", "81.0%"]])
    section = Sections.of(beside(few, part)).cuts["ikea"]
    assert "`aldi`" in section
    assert "| `siamese` | 81.0% |" in section
    assert "`siamese+date` +.0330 (+.0272 to +.0392).\n" in section


def test_the_strongest_peer_is_the_one_of_the_whole_section() -> None:
    """A run of a weak peer alone is no row; a strong one that has fallen leaves none."""
    weak = beside(FIRST, run({"marketplace": {"siamese": 0.1, "lightgbm": 0.2}}, seeds=5))
    told = {row["cut"]: row["seeds"] for row in rows_of(head_of(weak).peers)}
    assert told["`marketplace`"] == "3"
    fallen = beside(FIRST, run({"ikea": {"siamese": 0.3, "lightgbm": 0.01}}, seeds=5))
    assert "`ikea`" not in {row["cut"] for row in rows_of(head_of(fallen).peers)}


def test_other_data_of_a_cut_takes_its_section_whole() -> None:
    other = run({"ikea": {"siamese": 0.5}}, seeds=5).replace("9 users", "8 users")
    page = beside(FIRST, other)
    assert Sections.of(page).cuts["ikea"] == Sections.of(other).cuts["ikea"]
    assert "`ikea`" not in {row["cut"] for row in rows_of(head_of(page).peers)}


def test_a_third_run_names_the_cuts_that_are_of_earlier_ones_once() -> None:
    second = beside(FIRST, run({"ikea": OTHER}, seeds=5))
    third = beside(second, run({"marketplace": ONE}, seeds=6))
    facts = Sections.of(third).facts
    assert facts.count(KEPT) == 1
    assert facts.endswith("`retail-06-01`, `ikea`")
