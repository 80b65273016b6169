"""What each part of the Siamese scorer is worth: ``make bench-ablation``.

One model is trained for each cut and seed; then one part at a time is taken out of it and the cold
items are ranked again. A row is the NDCG@10 that is lost without the part, a mean over users and
seeds, with the paired 95 % bootstrap interval over users: above 0, the part helps. Parts:

- a term: its weight is zero;
- what was learned: the towers' corrections, the weights, or all of it, set back to the start;
- the prior: popularity predicted from content;
- what a listing says: the candidates come without photo, without text, without category and
  attributes, or without price, or with one of them alone; their factors and popularity are
  predicted from what is left;
- what a history's event says: all events of a history count alike in one respect (recency, event
  type, pieces and price level, repeats), by setting to zero the weight that was learned for it;
- everything but a constant boost: every new listing gets one and the same score, whose AUC among
  new listings is one half;
- on cuts at a date, of a second model, which uses dates: the season, the age, or both.

One JSON a cut and seed in ``benchmarks/results/ablation``, named by its data and code as well; what
is there is not measured again.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks import ablation_cells, cut_rows, tables
from benchmarks.ablation_cells import DATED, METRICS, UNDATED, WHOLE
from benchmarks.grid import Cut, Opened, open_cut
from benchmarks.kept_results import kept, kept_path
from benchmarks.quality import usual
from benchmarks.results import FOLDER
from coldstart_models.commands import console
from coldstart_models.metrics import bootstrap_intervals

NAME: Final = "ablation"
CELLS: Final = FOLDER / NAME
Values = npt.NDArray[np.float64]


def main() -> None:
    """Measure every cut that is there, print and write the table."""
    parser = cut_rows.parser_of(NAME, __doc__, usual=usual())
    parser.add_argument("--seeds", type=int, default=2, help="at most so many of a cut")
    options = parser.parse_args()
    cut_rows.run(
        NAME,
        options,
        lambda cut: measured(cut, options.data, stores=options.stores, seeds=options.seeds),
        title="NDCG@10 lost without a part",
        page=shown,
    )


def measured(cut: Cut, data: Path, *, stores: Path, seeds: int) -> list[dict[str, Any]]:
    """The rows of one cut."""
    opened = open_cut(cut, data=data, stores=stores)
    found = [_cell(cut, opened, seed) for seed in range(min(cut.seeds, seeds))]
    names = {UNDATED: cut.name, DATED: f"{cut.name}, {DATED}"}
    return [
        _row(names[model], left_out, found, model=model)
        for model, parts in found[0]["models"].items()
        for left_out in parts
    ]


def _cell(cut: Cut, opened: Opened, seed: int) -> dict[str, Any]:
    path = kept_path(
        CELLS,
        f"{cut.name}-{seed}",
        asked=[cut.name, cut.source, str(cut.plan), cut.photos_alone, seed, METRICS],
        fingerprint=opened.fingerprint,
        modules=[ablation_cells.__name__],
    )
    dated = cut.plan.cutoff is not None
    found = kept(path, partial(ablation_cells.measured, opened, seed, dated=dated))
    console.say(f"{cut.name} seed {seed}: {found['seconds']:.0f} s")
    return found


def _row(cut: str, left_out: str, seeds: Sequence[dict[str, Any]], *, model: str) -> dict[str, Any]:
    """NDCG@10 and AUC without the part, and the NDCG@10 that is lost, with its interval.

    Args:
        seeds: of `ablation_cells.measured`.
    """
    shape = (len(seeds), seeds[0]["people"], len(METRICS))
    stacked, lost = np.full(shape, np.nan), np.full(shape, np.nan)
    for place, one in enumerate(seeds):
        parts = one["models"][model]
        after: Values = np.array(parts[left_out], np.float64)
        stacked[place, one["users"]], lost[place, one["users"]] = after, parts[WHOLE] - after
    ndcg, auc = np.nanmean(np.nanmean(stacked, axis=1), axis=0)
    mean = float(np.nanmean(np.nanmean(lost, axis=1), axis=0)[0])
    low, high = bootstrap_intervals(lost, seed=0)[0]
    return {
        "cut": cut,
        "without": "–" if left_out == WHOLE else left_out,
        "seeds": len(seeds),
        "ndcg@10": round(float(ndcg), 4),
        "auc": round(float(auc), 4),
        "ndcg@10 lost": round(mean, 4),
        "low": round(float(low), 5),
        "high": round(float(high), 5),
    }


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the page has them: the interval in one column."""
    return [
        {name: value for name, value in row.items() if name not in ("low", "high")}
        | {"95 %": f"{tables.signed(row['low'])} to {tables.signed(row['high'])}"}
        for row in rows
    ]


if __name__ == "__main__":
    main()
