"""docs/operating.md lists the metrics that there are, each with its meaning and an alert."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = ("bentos/recommender/measures.py", "bentos/recommender/observing/exposition.py")
MADE = re.compile(r'(Counter|Histogram|_gauge)\(\s*"(coldstart_\w+)"')
ROW = re.compile(r"^\| `(coldstart_\w+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)


def exported() -> set[str]:
    """Names as Prometheus shows them: a counter ends in _total."""
    found = MADE.findall("\n".join((PROJECT / name).read_text() for name in SOURCES))
    return {f"{name}_total" if kind == "Counter" else name for kind, name in found}


def test_every_metric_is_listed_with_a_meaning_and_an_alert() -> None:
    rows = ROW.findall((PROJECT / "docs" / "operating.md").read_text())
    assert len(exported()) > 15
    assert {name for name, *_ in rows} == exported()
    assert all(meaning.strip() and alert.strip() for _, _, meaning, alert in rows)


def test_the_settings_are_those_of_the_configuration() -> None:
    from coldstart_models.config import ServeConfig

    text = (PROJECT / "docs" / "operating.md").read_text()
    names = "store_deadline_ms store_patience_s page_log_gib most_listings max_in_flight"
    for name in names.split():
        default = ServeConfig.model_fields[name].default
        assert re.search(rf"`(?:\[serve\] )?{name}` \| {default:g} \|", text), name
