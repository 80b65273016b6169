"""A run of some cuts leaves the published tables of the others as they are."""

from benchmarks.page_sections import KEPT, Sections
from benchmarks.quality_page import Head, beside
from benchmarks.tables import rows_of

PEERS = (
    "ndcg@10 of the Siamese models less that of the strongest published peer.\n\n"
    "| cut | seeds |\n| --- | ---: |\n"
)
RANKS = "Rank by ndcg@10, of the models that every cut has:\n\n"


def run(ranks: dict[str, list[str]], models: list[str], *, seeds: int) -> str:
    """What a run publishes: cut → the models' ranks there."""
    peers = "".join(f"| `{cut}` | {seeds} |\n" for cut in ranks)
    head = " | ".join(f"`{cut}`" for cut in ranks)
    rows = "".join(
        f"| `{model}` | 9.99 | {' | '.join(row[n] for row in ranks.values())} |\n"
        for n, model in enumerate(models)
    )
    dashes = "| --- | ---: |" + " ---: |" * len(ranks)
    told = f"{RANKS}| model | mean rank | {head} |\n{dashes}\n{rows}"
    cuts = "".join(
        f"**{cut}**: {seeds} seeds.\n\n| model | ndcg@10 |\n| --- | ---: |\n| `a` | .{seeds} |\n\n"
        f"`{cut}`, ndcg@10 within months.\n\n"
        for cut in ranks
    )
    return f"{PEERS}{peers}\n{told}\n{cuts}- machine: cpus 2\n- cells: {seeds} of 9 measured\n"


FIRST = run(
    {"retail-06-01": ["1", "2", "3"], "ikea": ["1.5", "1.5", "3"], "marketplace": ["3", "1", "2"]},
    ["a", "b", "c"],
    seeds=3,
)


def head_of(text: str) -> Head:
    return Head.of(Sections.of(text).head)


def test_a_run_of_all_cuts_stands_alone() -> None:
    assert beside("", FIRST) == FIRST
    assert beside(FIRST, FIRST) == FIRST


def test_cuts_that_a_run_did_not_measure_stay_and_the_others_are_its_own() -> None:
    again = run({"ikea": ["2", "1", "3"]}, ["a", "b", "c"], seeds=5)
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


def test_ranks_are_among_the_models_that_all_cuts_have() -> None:
    """The run of one cut has one more, which is ranked between them."""
    again = run({"ikea": ["4", "1", "2", "3"]}, ["a", "b", "more", "c"], seeds=5)
    ranks = rows_of(head_of(beside(FIRST, again)).ranks)
    assert [(row["model"], row["mean rank"], row["`ikea`"]) for row in ranks] == [
        ("`b`", "1.33", "1"),
        ("`a`", "2.33", "3"),
        ("`c`", "2.33", "2"),
    ]


def test_ranks_stay_where_a_run_lacks_a_model_or_ranks_none() -> None:
    before = head_of(FIRST).ranks
    for models in (["a", "b"], ["a", "b", "d"]):
        again = run({"ikea": [*map(str, range(1, len(models) + 1))]}, models, seeds=5)
        assert head_of(beside(FIRST, again)).ranks == before
    bare = Sections.of(run({"ikea": ["1"]}, ["a"], seeds=5))
    without = Sections(Head.of(bare.head).peers, bare.cuts, bare.facts).text()
    assert head_of(beside(FIRST, without)).ranks == before


def test_a_third_run_names_the_cuts_that_are_of_earlier_ones_once() -> None:
    second = beside(FIRST, run({"ikea": ["2", "1", "3"]}, ["a", "b", "c"], seeds=5))
    third = beside(second, run({"marketplace": ["2", "1", "3"]}, ["a", "b", "c"], seeds=6))
    facts = Sections.of(third).facts
    assert facts.count(KEPT) == 1
    assert facts.endswith("`retail-06-01`, `ikea`")
