"""`coldstart aggregate`: events become histories, statistics and profiles."""

from typing import Final

from coldstart_models.commands import console

NAME: Final = "aggregate"
EXAMPLES: Final = """Examples:

  coldstart aggregate

  coldstart aggregate --json
"""


def run(as_of: console.AsOf = None, json: console.Json = False) -> None:
    """Compute the behaviour and profile features, point-in-time."""
    from feature_repo.home import Home
    from feature_repo.jobs.aggregate import aggregate

    with console.bar("aggregate") as progress:
        result = aggregate(home=Home.current(), now=console.present(as_of), progress=progress)
    if json:
        console.print_json(result.as_dict())
        return
    rows = [[name, count] for name, count in result.rows.items()]
    rows += [[name, 0] for name in result.created]
    console.print_table(f"Aggregated in {result.seconds:.1f} s", ["feature view", "rows"], rows)
