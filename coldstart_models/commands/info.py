"""`coldstart info`: versions, paths, what is registered, what is stale."""

from typing import Any, Final

from coldstart_models.commands import console

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
    from feature_repo.home import Home
    from feature_repo.sources import read_records

    home = Home.current()
    records = read_records(home.sources)
    models = list_models(home)
    told: dict[str, Any] = {
        "versions": {name: version(name) for name in PACKAGES},
        "home": str(home.root),
        "sources": {
            name: {
                "spec": record.spec,
                "ordering": str(record.ordering),
                "generated": record.generated,
            }
            for name, record in records.items()
        },
        "views": _views(home),
        "models": [model.tag for model in models],
    }
    if json:
        console.print_json(told)
        return
    console.print_table("Versions", ["package", "version"], list(told["versions"].items()))
    console.say(f"state: {home.root}")
    console.print_table(
        "Sources",
        ["source", "from", "order", "generated"],
        [
            [name, one["spec"], one["ordering"], "yes" if one["generated"] else "no"]
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
    console.say(f"models: {', '.join(told['models']) or 'none; run `coldstart train`'}")


def _views(home: Any) -> dict[str, dict[str, Any]]:
    """Registered views by name; none where nothing was applied yet."""
    from feature_repo.store import Store

    if not home.registry.exists():
        return {}
    return {
        view.name: {
            "rows": view.rows,
            "newest": view.newest.isoformat() if view.newest else None,
            "materialized_to": view.materialized[1].isoformat() if view.materialized else None,
            "stale": view.stale,
        }
        for view in Store(home).registered().views
    }
