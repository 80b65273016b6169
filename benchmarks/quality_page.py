"""The quality tables as they stand on their page, beside what a run found: cut by cut the newer.

What is said of all cuts together, their peers and ranks, is put together of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from benchmarks import page_sections
from benchmarks.page_sections import Sections
from benchmarks.tables import rows_of, table

RANKS: Final = "Rank by "
"""How the table of ranks begins."""
MODEL: Final = "model"
MEAN: Final = "mean rank"


@dataclass(frozen=True, slots=True)
class Head:
    """What the quality tables say of all cuts together."""

    peers: str
    """The Siamese models against the strongest peer, a row a cut; empty where nobody was."""
    ranks: str
    """Empty where no cut has both."""

    @classmethod
    def of(cls, text: str) -> "Head":
        """The head of `Sections`."""
        peers, found, ranks = text.partition(RANKS)
        return cls(peers.strip("\n"), (found + ranks).strip("\n"))

    def text(self) -> str:
        """As it stands on the page."""
        return "\n\n".join(part for part in (self.peers, self.ranks) if part)


def beside(page: str, found: str) -> str:
    """What a run found, with the cuts of the page that it did not measure.

    Args:
        page: what stands there, of any run; may be empty.
        found: what `quality_tables.published` says of this one.
    """
    old, new = Sections.of(page), Sections.of(found)
    if not old.kept_by(new):
        return found
    before, after = Head.of(old.head), Head.of(new.head)
    names = page_sections.in_order(old.cuts | new.cuts)
    head = Head(_peers(before.peers, after.peers, names), _ranks(before.ranks, after.ranks, names))
    return page_sections.beside(old, new, head=head.text()).text()


def mean_ranks(page: str) -> tuple[dict[str, float], int]:
    """Model → mean rank as the page has it, and of how many cuts; empty where it has none.

    Args:
        page: the quality tables as they stand there.
    """
    rows = rows_of(Head.of(Sections.of(page).head).ranks)
    cuts = len(rows[0]) - 2 if rows else 0
    return {row[MODEL].strip("`"): float(row[MEAN]) for row in rows}, cuts


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
