"""The quality tables as they stand on their page, beside what a run found: cut by cut the newer.

Results are not kept in the repository, and those of one machine are gone with it; the page keeps
what they said, as `target_rows` does for the targets. A run of some cuts writes these anew and
leaves the others as they were last measured.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from benchmarks.grid import GRID
from benchmarks.tables import rows_of, table

RANKS: Final = "Rank by "
"""How the table of ranks begins."""
MODEL: Final = "model"
MEAN: Final = "mean rank"
FACTS: Final = "- machine:"
"""How what is told of the run begins."""
KEPT: Final = "- of an earlier run: "
"""How the cuts are named that this one did not measure."""
SECTION: Final = re.compile(r"^\*\*(?P<cut>[^*]+)\*\*: ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """The tables, apart."""

    peers: str
    """The Siamese models against the strongest peer, a row a cut; empty where nobody was."""
    ranks: str
    """Empty where no cut has both."""
    cuts: dict[str, str]
    """Cut → all that is of it alone."""
    facts: str

    @classmethod
    def of(cls, text: str) -> "Page":
        """What `quality_tables.published` wrote, with or without another run's cuts beside."""
        body, mark, facts = text.strip("\n").partition(FACTS)
        starts = [*SECTION.finditer(body)]
        ends = [*(one.start() for one in starts[1:]), len(body)]
        head = body[: starts[0].start()] if starts else body
        peers, found, ranks = head.partition(RANKS)
        return cls(
            peers.strip("\n"),
            (found + ranks).strip("\n"),
            {
                one["cut"]: body[one.start() : end].strip("\n")
                for one, end in zip(starts, ends, strict=False)  # without a cut there is no start
            },
            (mark + facts).strip("\n"),
        )

    def text(self) -> str:
        """As it stands on the page."""
        parts = [self.peers, self.ranks, *self.cuts.values(), self.facts]
        return "\n\n".join(part for part in parts if part) + "\n"


def beside(page: str, found: str) -> str:
    """What a run found, with the cuts of the page that it did not measure.

    Args:
        page: what stands there, of any run; may be empty.
        found: what `quality_tables.published` says of this one.
    """
    old, new = Page.of(page), Page.of(found)
    kept = [name for name in old.cuts if name not in new.cuts]
    if not kept:
        return found
    order = [cut.name for cut in GRID]
    cuts = old.cuts | new.cuts
    names = sorted(cuts, key=lambda name: order.index(name) if name in order else len(order))
    facts = [line for line in new.facts.splitlines() if not line.startswith(KEPT)]
    facts.append(f"{KEPT}{', '.join(f'`{name}`' for name in names if name in kept)}")
    return Page(
        _peers(old.peers, new.peers, names),
        _ranks(old.ranks, new.ranks, names),
        {name: cuts[name] for name in names},
        "\n".join(facts),
    ).text()


def _peers(old: str, new: str, names: Sequence[str]) -> str:
    """Rows by cut, the newer of each."""
    lines: dict[str, str] = {}
    for text in (old, new):
        lines |= {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    head = [line for line in (new or old).splitlines() if not line.startswith("| `")]
    return "\n".join([*head, *(lines[name] for name in names if name in lines)])


def _ranks(old: str, new: str, names: Sequence[str]) -> str:
    """Ranks by cut, the newer of each, and their mean.

    They are among the page's models, which all its cuts have; a run of fewer cuts may have more.
    Where it lacks one of them the page's ranks stay, which are of more cuts.
    """
    before, after = ({row[MODEL]: row for row in rows_of(text)} for text in (old, new))
    if not before or not set(before) <= set(after):
        return old or new
    models = [*before]
    columns = {name: [row[name] for row in before.values()] for name in before[models[0]]}
    for name in list(after[models[0]])[2:]:
        columns[name] = [
            f"{rank:g}" for rank in stats.rankdata([float(after[one][name]) for one in models])
        ]
    cuts = [f"`{name}`" for name in names if f"`{name}`" in columns]
    ranks = np.array([[float(rank) for rank in columns[cut]] for cut in cuts])
    means = dict(zip(models, ranks.mean(axis=0), strict=True))
    body = [
        [one, f"{means[one]:.2f}", *(columns[cut][models.index(one)] for cut in cuts)]
        for one in sorted(models, key=lambda one: (means[one], one))
    ]
    head = new.splitlines()[0]
    return f"{head}\n\n{table([MODEL, MEAN, *cuts], body)}".strip("\n")
