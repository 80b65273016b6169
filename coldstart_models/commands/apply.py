"""`coldstart apply`: register the features with Feast."""

from typing import Final

from coldstart_models.commands import console

NAME: Final = "apply"
EXAMPLES: Final = """Examples:

  coldstart apply

  cd feature_repo && feast apply    (the same, by plain Feast)
"""


def run(json: console.Json = False) -> None:
    """Register every entity, view and feature service."""
    from feature_repo.home import Home
    from feature_repo.store import Store

    registered = Store(Home.current()).apply()
    if json:
        console.print_json(
            {
                "project": registered.project,
                "views": [view.name for view in registered.views],
                "on_demand": list(registered.on_demand),
                "services": sorted(registered.services),
            }
        )
        return
    console.print_table(
        f"Registered in project {registered.project}",
        ["feature view", "features", "rows", "stale"],
        [
            [view.name, len(view.features), view.rows, "yes" if view.stale else "no"]
            for view in registered.views
        ],
    )
    console.say(f"on demand: {', '.join(registered.on_demand)}")
    console.say(f"feature services: {', '.join(sorted(registered.services))}")
