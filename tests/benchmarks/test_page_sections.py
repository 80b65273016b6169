"""Tables of some cuts are put among those of the others, which stay as they were."""

import pytest

from benchmarks import page_sections
from benchmarks.page_sections import KEPT, Sections


def run(*cuts: str, value: str) -> str:
    """What a benchmark publishes of these cuts."""
    told = "".join(
        f"**{cut}**: 1 seed(s).\n\n| model | ndcg@10 |\n| --- | ---: |\n| `a` | {value} |\n\n"
        f"`{cut}`, ndcg@10 of warm items: {value}.\n\n"
        for cut in cuts
    )
    return f"{told}- machine: cpus {value}\n- CPU minutes: {value}\n"


@pytest.fixture
def document(tmp_path):
    """A page whose place for `shots` is empty."""
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- table:shots -->\n<!-- /table:shots -->\nAfter.\n")
    return page


def test_a_first_run_stands_as_it_was_published(document):
    page_sections.put(run("ikea", "marketplace", value=".1"), document, name="shots")
    assert document.read_text() == (
        f"Before.\n<!-- table:shots -->\n{run('ikea', 'marketplace', value='.1')}"
        "<!-- /table:shots -->\nAfter.\n"
    )


def test_a_run_of_one_cut_leaves_the_others_in_the_grids_order(document):
    page_sections.put(run("retail-06-01", "marketplace", value=".1"), document, name="shots")
    page_sections.put(run("ikea", value=".2"), document, name="shots")
    page_sections.put(run("marketplace", value=".3"), document, name="shots")
    text = document.read_text()
    found = Sections.of(text.partition("-->\n")[2].partition("<!-- /")[0])
    assert [(cut, told.count(".1"), told.count(".2"), told.count(".3")) for cut, told in
            found.cuts.items()] == [
        ("retail-06-01", 2, 0, 0), ("ikea", 0, 2, 0), ("marketplace", 0, 0, 2)
    ]  # fmt: skip
    assert found.facts == (f"- machine: cpus .3\n- CPU minutes: .3\n{KEPT}`retail-06-01`, `ikea`")


def test_a_document_without_the_place_is_an_error(document):
    with pytest.raises(ValueError, match="table:kinds"):
        page_sections.put(run("ikea", value=".1"), document, name="kinds")
