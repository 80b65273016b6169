"""Where a model is good, as Markdown: by length of the history, domains known, warmth of the item.

Each kind of user and item that `coldstart benchmark --json` tells apart is a cell. The Siamese
scorer is held against popularity in every one of them: below each table stands the difference, and
below each source every cell in which it is behind. That JSON has means alone, so in a cell of few
users a difference may be chance; `benchmarks.kinds` measures the same cells with intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.tables import number, signed, spread, table
from coldstart_models.metrics import NDCG
from coldstart_models.models import POPULARITY

OURS: Final = "siamese"
BOUNDS: Final = "over_popularity"
"""Of a row of ours: the 95 % interval of the difference to popularity, where it is known."""
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One cell, and both models in it; None where one was not measured."""

    by: str
    group: str
    users: int
    ours: float | None
    popularity: float | None
    bounds: tuple[float, float] | None = None
    """Of the lead, at 95 %."""

    @property
    def lead(self) -> float | None:
        """NDCG@10 of ours less popularity's."""
        if self.ours is None or self.popularity is None:
            return None
        return self.ours - self.popularity

    @property
    def told(self) -> str:
        """The lead with its interval where that is known."""
        if self.lead is None:
            return "–"
        return spread(self.lead, self.bounds) if self.bounds else signed(self.lead)

    def __str__(self) -> str:
        chance = ", within its interval" if self.bounds and self.bounds[1] >= 0 else ""
        return f"{self.by} {self.group} ({self.users} users): {self.told}{chance}"


def kinds_of(result: Result) -> list[Kind]:
    """Every cell of users, in the order of the file; categories are of pairs, and no cells."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for one in result["breakdowns"]:
        if one[NDCG] is not None:
            found.setdefault((one["by"], one["group"]), {})[one["model"]] = one
    return [
        Kind(
            by,
            group,
            users=next(iter(models.values()))["count"],
            ours=models[OURS][NDCG] if OURS in models else None,
            popularity=models[POPULARITY][NDCG] if POPULARITY in models else None,
            bounds=_bounds(models.get(OURS, {})),
        )
        for (by, group), models in found.items()
    ]


def _bounds(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """Of a row's lead over popularity."""
    if BOUNDS not in row:
        return None
    low, high = row[BOUNDS]
    return float(low), float(high)


def published(results: Sequence[Result]) -> str:
    """The tables of every source, each with where ours is behind."""
    parts: list[str] = []
    for result in results:
        kinds = kinds_of(result)
        made_up = ", generated data" if result.get("generated") else ""
        parts.append(f"**{result['source']}**{made_up}: {result['split']}.\n")
        parts += _of_source(result, kinds)
        parts.append(verdict(kinds))
    return "\n".join(parts)


def verdict(kinds: Sequence[Kind]) -> str:
    """Whether ours is at least popularity everywhere; else each cell where it is not."""
    known = [kind for kind in kinds if kind.lead is not None]
    behind = [kind for kind in known if kind.lead is not None and kind.lead < 0]
    rest = len(kinds) - len(known)
    left = f" In {rest} one of the two was not measured." if rest else ""
    if not known:
        return f"No cell has both `{OURS}` and `{POPULARITY}`.{left}\n"
    if not behind:
        return f"`{OURS}` is at least `{POPULARITY}` in all {len(known)} cells.{left}\n"
    told = "; ".join(str(kind) for kind in behind)
    return (
        f"`{OURS}` is behind `{POPULARITY}` in {len(behind)} of {len(known)} cells: {told}.{left}\n"
    )


def _of_source(result: Result, kinds: Sequence[Kind]) -> list[str]:
    rows = [one for one in result["breakdowns"] if one[NDCG] is not None]
    parts = []
    for by in dict.fromkeys(kind.by for kind in kinds):
        ours = [kind for kind in kinds if kind.by == by]
        value = {(one["model"], one["group"]): one[NDCG] for one in rows if one["by"] == by}
        models = list(dict.fromkeys(model for model, _ in value))
        best = {
            kind.group: max(v for (_, g), v in value.items() if g == kind.group) for kind in ours
        }
        body = [
            [
                f"`{model}`",
                *(_cell(value.get((model, kind.group)), best[kind.group]) for kind in ours),
            ]
            for model in models
        ]
        if {OURS, POPULARITY} <= set(models):
            body.append([f"`{OURS}` − `{POPULARITY}`", *(kind.told for kind in ours)])
        columns = [f"{kind.group} ({kind.users})" for kind in ours]
        parts.append(f"{NDCG} by {by} (users in brackets):\n\n{table(['model', *columns], body)}")
    return parts


def _cell(value: float | None, best: float) -> str:
    return number(value, best=value == best)
