"""`coldstart info`: versions, paths, what is registered, what is stale."""

from typing import TYPE_CHECKING, Any, Final

from coldstart_models.commands import console
from coldstart_models.commands.train import tell_contest

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_repo.home import Home
    from feature_repo.sources import SourceRecord

NAME: Final = "info"
EXAMPLES: Final = """Examples:

  coldstart info

  COLDSTART_HOME=/srv/shop coldstart info --json
"""
PACKAGES: Final = (
    "coldstart-home",
    "feast",
    "torch",
    "torchvision",
    "transformers",
    "bentoml",
    "great-expectations",
    "pandas",
)


def run(json: console.Json = False) -> None:
    """Tell what is installed, ingested, registered, trained and stale."""
    from importlib.metadata import version

    from coldstart_models.artifacts import list_models
    from coldstart_models.freshness import to_do
    from feature_repo.home import Home
    from feature_repo.sources import read_records

    home = Home.current()
    records = read_records(home.sources)
    models = list_models(home)
    told: dict[str, Any] = {
        "versions": {name: version(name) for name in PACKAGES},
        "home": str(home.root),
        "sources": _sources(home, records),
        "views": _views(home),
        "lineage": _lineage(home),
        "encoders": _encoders(home),
        "models": [model.tag for model in models],
        "learner": models[-1].metadata.get("learner") if models else None,
        "general": models[-1].metadata.get("general") if models else None,
        "do_next": to_do(home, models),
    }
    if json:
        console.print_json(told)
        return
    console.print_table("Versions", ["package", "version"], list(told["versions"].items()))
    console.say(f"state: {home.root}")
    console.print_table(
        "Sources",
        ["source", "from", "listings", "events", "order", "generated"],
        [
            [
                name,
                one["spec"],
                one["items"],
                one["events"],
                one["ordering"],
                "yes" if one["generated"] else "no",
            ]
            for name, one in told["sources"].items()
        ],
    )
    console.print_table(
        "Feature views",
        ["view", "rows", "newest", "materialized to", "stale"],
        [
            [name, one["rows"], one["newest"], one["materialized_to"], one["stale"]]
            for name, one in told["views"].items()
        ],
    )
    console.print_table(
        "Who made the features",
        ["view", "made by", "from", "inputs", "at", "code", "encoder or model"],
        [
            [
                name,
                one["made_by"],
                one["made_from"],
                "; ".join(f"{table}: {read['rows']}" for table, read in one["inputs"].items()),
                one["made_at"],
                one["code_version"] or None,
                ", ".join([*one["encoders"], *one["models"]]) or None,
            ]
            for name, one in told["lineage"].items()
        ],
    )
    for modality, encoder in told["encoders"].items():
        console.say(f"{modality} encoder that serves: {encoder or 'none yet'}")
    console.say(f"models: {', '.join(told['models']) or 'none; run `coldstart train`'}")
    if told["learner"]:
        contest = told["learner"]["contest"]
        console.say(f"few-shot learner of the newest model: {told['learner']['name']}")
        if contest is not None:
            tell_contest(contest)
    if told["general"]:
        shops = ", ".join(f"{one['name']} ({one['licence']})" for one in told["general"]["sources"])
        console.say(f"the latest started from general model {told['general']['digest']}: {shops}")
    for step in told["do_next"]:
        console.say(f"stale: {step}")


def _lineage(home: "Home") -> dict[str, dict[str, Any]]:
    """View → who made its rows, from what, when and by what."""
    from feature_repo.feature_tables import FEATURE_TABLES
    from feature_repo.lineage import lineage_of

    return {view: lineage_of(home, view).as_dict() for view in FEATURE_TABLES}


def _encoders(home: "Home") -> dict[str, str | None]:
    """Modality → name of the encoder whose features are served."""
    from feature_repo.encoder_tables import served_record
    from feature_repo.encoders.encoder import Modality

    served = {str(modality): served_record(home, modality) for modality in Modality}
    return {modality: record.name if record else None for modality, record in served.items()}


def _sources(home: "Home", records: "dict[str, SourceRecord]") -> dict[str, dict[str, Any]]:
    """What the catalogue holds of each source; what came in one by one has no record."""
    import pyarrow.parquet as pq

    from feature_repo.event_log import event_log
    from validation import tables

    columns = {"events": event_log(home).read([tables.SOURCE])}
    if home.items.exists():
        columns["items"] = pq.read_table(home.items, columns=[tables.SOURCE])
    held = {name: _held(columns[name]) if name in columns else {} for name in ("items", "events")}
    names = [*records, *sorted({*held["items"], *held["events"]} - set(records))]
    return {
        name: {
            "spec": records[name].spec if name in records else "one by one",
            "ordering": str(records[name].ordering) if name in records else "time",
            "generated": name in records and records[name].generated,
            **{table: counts.get(name, 0) for table, counts in held.items()},
        }
        for name in names
    }


def _held(rows: "pa.Table") -> dict[str, int]:
    """Source → rows of a catalogue table."""
    from validation import tables

    counts = rows[tables.SOURCE].value_counts()
    return {str(entry["values"]): entry["counts"] for entry in counts.to_pylist()}


def _views(home: "Home") -> dict[str, dict[str, Any]]:
    """Registered views by name; none where nothing was applied yet."""
    from coldstart_models.freshness import registered_views
    from feature_repo.environment import Environment
    from feature_repo.errors import NotApplied
    from feature_repo.store import Store

    if not Environment.current().registry_ready(home):
        return {}
    try:
        views = registered_views(Store(home))
    except NotApplied:
        return {}
    return {
        view.name: {
            "rows": view.rows,
            "newest": view.newest.isoformat(timespec="minutes") if view.newest else None,
            "materialized_to": view.materialized_to.isoformat(timespec="minutes")
            if view.materialized_to
            else None,
            "stale": view.stale,
        }
        for view in views
    }
