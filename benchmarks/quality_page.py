"""The quality tables as they stand on their page, beside what a run found: cut by cut and model by
model the newer.

What is said of all cuts together, their peers and ranks, is put together of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from benchmarks import page_models, page_sections, ranks
from benchmarks.page_sections import Sections
from benchmarks.peers.registry import PUBLISHED
from benchmarks.quality_tables import STRONGEST
from benchmarks.ranks import MEAN, MODEL
from benchmarks.tables import rows_of

RANKS: Final = "Rank by "
"""How the table of ranks begins."""
CUT: Final = "cut"


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
        peers, found, rest = text.partition(RANKS)
        return cls(peers.strip("\n"), (found + rest).strip("\n"))

    def text(self) -> str:
        """As it stands on the page."""
        return "\n\n".join(part for part in (self.peers, self.ranks) if part)


def beside(page: str, found: str) -> str:
    """What a run found, with the cuts and the models of the page that it did not measure.

    Args:
        page: what stands there, of any run; may be empty.
        found: what `quality_tables.published` says of this one.
    """
    old, new = Sections.of(page), Sections.of(found)
    partly = {
        name: [*page_models.models_of(section)]
        for name, section in new.cuts.items()
        if set(page_models.models_of(old.cuts.get(name, ""))) - set(page_models.models_of(section))
    }
    if not old.kept_by(new) and not partly:
        return found
    cuts = {
        name: page_models.beside(old.cuts[name], section) if name in partly else section
        for name, section in new.cuts.items()
    }
    new = replace(new, cuts=cuts)
    whole = page_sections.beside(old, new, partly=partly)
    before, after = Head.of(old.head), Head.of(new.head)
    head = Head(_peers(before.peers, after.peers, whole.cuts), _ranks(whole.cuts))
    return replace(whole, head=head.text()).text()


def mean_ranks(page: str) -> tuple[dict[str, float], int]:
    """Model → mean rank as the page has it, and of how many cuts; empty where it has none.

    Args:
        page: the quality tables as they stand there.
    """
    rows = rows_of(Head.of(Sections.of(page).head).ranks)
    cuts = len(rows[0]) - 2 if rows else 0
    return {row[MODEL].strip("`"): float(row[MEAN]) for row in rows}, cuts


def _peers(old: str, new: str, cuts: Mapping[str, str]) -> str:
    """Rows by cut, the newer of each whose peer is the cut's strongest; none where neither's is."""
    lines: dict[str, str] = {}
    for text in (old, new):
        told = [line for line in text.splitlines() if line.startswith("| `")]
        for row, line in zip(rows_of(text), told, strict=True):
            name = row[CUT].strip("`")
            if name in cuts and _is_of_strongest(row, page_models.models_of(cuts[name])):
                lines[name] = line
    head = [line for line in (new or old).splitlines() if not line.startswith("| `")]
    return "\n".join([*head, *(lines[name] for name in cuts if name in lines)])


def _is_of_strongest(row: Mapping[str, str], ndcg: Mapping[str, float]) -> bool:
    """Whether the peer that a row is of is the one that ranks the cut best."""
    named = row[STRONGEST].split("`")[1]
    rivals = [value for name, value in ndcg.items() if name in PUBLISHED]
    return bool(rivals) and ndcg.get(named, 0.0) >= max(rivals)


def _ranks(cuts: Mapping[str, str]) -> str:
    """Ranks by the digits shown."""
    found = {name: page_models.models_of(section) for name, section in cuts.items()}
    names = ranks.ranked(found)
    return ranks.published(
        {cut: {name: found[cut][name] for name in names} for cut in ranks.contested(found)}
    )
