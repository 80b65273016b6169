"""What scale costs is multiplied from what the other benchmarks published, and nothing else."""

import json
from pathlib import Path

import pytest

from benchmarks import costs, results, tables
from benchmarks.costs import Published

TEXT = """
<!-- table:aggregation -->
| events | table | rows | seconds |
| --- | ---: | ---: | ---: |
| 250,000 | a | 1 | 1 |
| 1,000,000 | a | 4 | 4 |

- machine: python 3.11.7
- cpu_seconds: [10.0, 40.0]
<!-- /table:aggregation -->
<!-- table:serving -->
- retrieval: 10 listings 10, service_mib 1,210, users 3, own_mib 8, 200 listings 200, own_mib 64
<!-- /table:serving -->
"""


def test_the_page_says_what_the_published_figures_multiply_to() -> None:
    pages = {name: (costs.DOCS / f"{name}.md").read_text() for name in costs.TABLES_IN}
    published = Published("".join(pages.values()))
    expected = [*costs.of_listings(published), *costs.of_events(published)]
    columns = list(expected[0])
    body = tables.table(columns, [[str(row[name]) for name in columns] for row in expected])
    assert body in pages["scale"], "run `make bench-costs` and put its table into docs/scale.md"


def test_the_aggregation_grows_by_the_exponent_between_its_sizes() -> None:
    assert costs.growth(Published(TEXT)) == pytest.approx(1.0)
    doubling = Published(TEXT.replace("[10.0, 40.0]", "[10.0, 80.0]"))
    assert costs.growth(doubling) == pytest.approx(1.5)


def test_memory_is_of_each_number_of_listings_that_was_served() -> None:
    published = Published(TEXT)
    assert costs.serving_memory(published, 10) == {"service_mib": 1_210, "own_mib": 8}
    assert costs.serving_memory(published, 200) == {"own_mib": 64}
    with pytest.raises(LookupError, match="nothing of 1,000 listings"):
        costs.serving_memory(published, 1_000)


def test_a_figure_that_was_not_published_is_named() -> None:
    with pytest.raises(ValueError, match="no place <!-- table:streaming"):
        Published(TEXT).rows("streaming")
    with pytest.raises(LookupError, match="2 rows of the table 'aggregation'"):
        Published(TEXT).value("aggregation", "rows", table="a")
    with pytest.raises(LookupError, match="no line 'peak_mb'"):
        Published(TEXT).fact("aggregation", "peak_mb")
    with pytest.raises(ValueError, match="no place <!-- table:materialize"):
        costs.snapshot_seconds(Published(TEXT))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(59.96, "60.0 s"), (180, "3.0 min"), (7200, "2.0 h"), (172_800, "2.0 days")],
)
def test_times_are_told_in_a_unit_that_fits(seconds: float, told: str) -> None:
    assert costs.time_of(seconds) == told


def test_what_is_published_can_be_read_back(tmp_path: Path) -> None:
    path = results.publish(
        "some", title="t", rows=[{"what": "a", "per s": 1234.5}], folder=tmp_path, sizes=[1, 2]
    )
    text = tables.published(json.loads(path.read_text()))
    read = Published(f"<!-- table:some -->\n{text}<!-- /table:some -->")
    assert read.value("some", "per s", what="a") == 1234.5
    assert read.fact("some", "sizes") == [1, 2]
