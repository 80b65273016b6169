"""`coldstart experiment`: what the running A/B test says, and what a policy would have earned."""

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    import pandas as pd

    from coldstart_models.experiments.report import Report
    from feature_repo.home import Home

NAME: Final = "experiment"
EXAMPLES: Final = """Examples:

  coldstart experiment report

  coldstart experiment report --as-of 2026-12-24 --json

  coldstart experiment value --policy linucb --width 0.5 --reward revenue
"""
UNTRUSTED: Final = 3
"""Exit code where the differences are not to be trusted."""

app = typer.Typer(
    help="Report the A/B test, and value policies of exploration from the log.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Policy(StrEnum):
    """Policies of exploration."""

    GREEDY = "greedy"
    THOMPSON = "thompson"
    LINUCB = "linucb"


class Reward(StrEnum):
    """What a page is to bring."""

    CLICKS = "clicks"
    PURCHASES = "purchases"
    REVENUE = "revenue"


@app.command("report", epilog="Example:\n\n  coldstart experiment report --json")
def report(
    as_of: console.AsOf = None,
    json: console.Json = False,
    config: console.ConfigFile = None,
) -> None:
    """CTR, CVR and revenue per user of every variant beside the first, with intervals.

    They hold at every look. Exit code 3 where the sizes of the variants do not fit their weights,
    or the page log was too small for the experiment: then they are not to be trusted.
    """
    from coldstart_models.config import load_config
    from coldstart_models.errors import ConfigError
    from coldstart_models.experiments.attribution import shown_frame
    from coldstart_models.experiments.outcomes import units_of
    from coldstart_models.experiments.report import report as compare
    from feature_repo.home import Home
    from feature_repo.page_log import lost_pages, read_pages

    settings = load_config(config).experiment
    experiment = settings.experiment()
    if experiment is None:
        raise ConfigError("no experiment is named; write [experiment] into coldstart.toml")
    home = Home.current()
    units = units_of(
        experiment.name,
        shown_frame(page for page in read_pages(home) if page.experiment == experiment.name),
        _events(home),
        window=timedelta(days=settings.window_days),
        now=console.present(as_of),
    )
    found = compare(
        experiment,
        units,
        planned=settings.planned_users,
        lost_pages=lost_pages(home, experiment.name),
    )
    if json:
        console.print_json(found.as_dict())
    else:
        _print(found, window_days=settings.window_days)
    if not found.trusted:
        raise typer.Exit(UNTRUSTED)


@app.command("value", epilog="Example:\n\n  coldstart experiment value --policy thompson")
def value(
    policy: Annotated[Policy, typer.Option(help="The new policy.")],
    floor: Annotated[float, typer.Option(min=0.0, max=1.0, help="As in [explore].")] = 0.1,
    width: Annotated[float, typer.Option(min=0.0, help="As in [explore].")] = 1.0,
    draws: Annotated[int, typer.Option(min=1, help="As in [explore].")] = 256,
    reward: Annotated[Reward, typer.Option(help="Of a page.")] = Reward.CLICKS,
    since: Annotated[str | None, typer.Option(help="Only pages served since then.")] = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """What a policy of exploration would have earned a page, from the pages that were explored."""
    from dataclasses import asdict

    from coldstart_models.experiments.attribution import by_page, shown_frame
    from coldstart_models.exploration.exploring import build_policy
    from coldstart_models.exploration.logged import value_policy
    from feature_repo.home import Home
    from feature_repo.page_log import read_pages

    home, now = Home.current(), console.present(as_of)
    start = console.moment(since, option="--since") if since else None
    earned = by_page(shown_frame(read_pages(home)), _events(home), now=now)[reward.value]
    found = value_policy(
        build_policy(policy.value, floor=floor, draws=draws, width=width),
        read_pages(home, since=start),
        {str(page_id): float(value) for page_id, value in earned.items()},
    )
    if json:
        console.print_json({"reward": reward.value, **asdict(found)})
        return
    console.print_table(
        f"{reward.value} a page, {found.pages} explored pages",
        ["policy", "by", "value", "from", "to"],
        [
            [
                "as logged" if one is found.logged else found.policy_id,
                one.estimator,
                one.value,
                one.low,
                one.high,
            ]
            for one in (found.logged, *found.estimates)
        ],
    )
    console.say(
        f"the log is worth {found.effective_pages:.0f} pages of the new policy; "
        f"the largest weight is {found.largest_weight:.1f}, "
        f"the mean {found.mean_weight.value:.2f} (1 where the log lacks nothing)"
    )
    if not found.enough:
        console.say(
            "that is too little: the log lacks pages that the new policy would often show, and the "
            "intervals reach over whatever those may earn. Log longer, or with a higher "
            "`[explore] floor`"
        )


def _events(home: "Home") -> "pd.DataFrame":
    """What people did, by unit."""
    import pyarrow.parquet as pq

    from coldstart_models.errors import NotEnoughData
    from coldstart_models.experiments.attribution import EVENT_COLUMNS, unit_events
    from feature_repo.event_log import event_log
    from validation import tables

    if not home.items.exists() or not event_log(home).exists():
        raise NotEnoughData(f"no catalogue and events in {home.root}; ingest them first")
    items = pq.read_table(home.items, columns=[tables.ITEM_ID, tables.PRICE]).to_pandas()
    events = event_log(home).read(list(EVENT_COLUMNS)).to_pandas()
    return unit_events(events, items.set_index(tables.ITEM_ID)[tables.PRICE])


def _print(found: "Report", *, window_days: float) -> None:
    """For people."""
    if found.differences:
        _print_differences(found, window_days=window_days)
    dealt = ", ".join(f"{name} {count}" for name, count in found.dealt.items())
    users = ", ".join(f"{name} {count}" for name, count in found.users.items())
    console.say(f"users dealt: {dealt}; finished: {users}; within their time: {found.unfinished}")
    if found.moved:
        console.say(f"{found.moved} users saw more than one variant and are left out")
    verdict = "do not fit" if found.mismatched else "fit"
    console.say(f"sample ratio: p = {found.ratio_pvalue:.4g}, the sizes {verdict} the weights")
    if found.mismatched:
        console.say("do not trust the differences: find out first whom the service or log loses")
    if found.lost_pages:
        console.say(
            f"do not trust the differences: the log was full and has lost {found.lost_pages} pages "
            "of this experiment, so that later pages of who came back are taken for their first. "
            "Begin anew under another name with a larger `[serve] page_log_gib`, or a smaller "
            "`[experiment] share`"
        )


def _print_differences(found: "Report", *, window_days: float) -> None:
    console.print_table(
        f"Experiment {found.experiment}: outcomes within {window_days:g} days of the first page",
        ["metric", "variant", "control", "variant's", "difference", "from", "to", "told"],
        [
            [
                one.metric,
                one.variant,
                one.control_mean,
                one.variant_mean,
                one.difference,
                one.low,
                one.high,
                "yes" if one.told else "no",
            ]
            for one in found.differences
        ],
    )
    left = ", ".join(
        f"{one.metric} of {one.variant} {one.variance_left:.0%}" for one in found.differences
    )
    console.say(f"variance that CUPED leaves: {left}")
