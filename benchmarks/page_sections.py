"""Tables of several cuts as they stand on their page, beside what a run found.

Results are not kept in the repository, and those of one machine are gone with it; the page keeps
what they said, as `target_rows` does for the targets. A run of some cuts writes these anew and
leaves the others as they were last measured.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks import tables
from benchmarks.grid import GRID

FACTS: Final = "- machine:"
"""How what is told of the run begins."""
KEPT: Final = "- of an earlier run: "
"""How the cuts are named that this one did not measure."""
SECTION: Final = re.compile(r"^\*\*(?P<cut>[^*]+)\*\*: ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sections:
    """What a run publishes, apart."""

    head: str
    """What is of all cuts together; may be empty."""
    cuts: dict[str, str]
    """Cut → all that is of it alone."""
    facts: str
    """Of the run."""

    @classmethod
    def of(cls, text: str) -> "Sections":
        """What a run published, with or without another run's cuts beside."""
        body, mark, facts = text.strip("\n").partition(FACTS)
        starts = [*SECTION.finditer(body)]
        ends = [*(one.start() for one in starts[1:]), len(body)]
        return cls(
            (body[: starts[0].start()] if starts else body).strip("\n"),
            {
                one["cut"]: body[one.start() : end].strip("\n")
                for one, end in zip(starts, ends, strict=False)  # without a cut there is no start
            },
            (mark + facts).strip("\n"),
        )

    def text(self) -> str:
        """As it stands on the page."""
        parts = [self.head, *self.cuts.values(), self.facts]
        return "\n\n".join(part for part in parts if part) + "\n"

    def kept_by(self, newer: "Sections") -> list[str]:
        """Cuts that a newer run did not measure, and leaves as they stand."""
        return [name for name in self.cuts if name not in newer.cuts]


def beside(
    old: Sections,
    new: Sections,
    *,
    head: str = "",
    partly: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Sections:
    """What a run found, with the cuts of the page that it did not measure, in the grid's order.

    Args:
        old: what stands on the page, of any run; may be empty.
        new: what this one found.
        head: what is said of all cuts together.
        partly: cuts of `new` of which it measured these alone, and took the rest from the page.
    """
    cuts = old.cuts | new.cuts
    facts = [line for line in new.facts.splitlines() if not line.startswith(KEPT)]
    facts += of_earlier(old.kept_by(new), partly)
    return Sections(head, {name: cuts[name] for name in in_order(cuts)}, "\n".join(facts))


def of_earlier(
    kept: Iterable[str], partly: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[str]:
    """The line that names what a page has of earlier runs; none where it has nothing of them.

    Args:
        kept: cuts that the newest run did not measure.
        partly: as `beside` takes it.
    """
    told = [_listed(in_order(kept))]
    for models in dict.fromkeys(tuple(partly[name]) for name in in_order(partly)):
        alike = [name for name in in_order(partly) if tuple(partly[name]) == models]
        told.append(f"{_listed(alike)} but for {_listed(models)}")
    parts = [part for part in told if part]
    return [f"{KEPT}{'; '.join(parts)}"] if parts else []


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def in_order(cuts: Iterable[str]) -> list[str]:
    """The cuts as the grid orders them, others last."""
    return tables.ordered(cuts, [cut.name for cut in GRID])


def put(found: str, document: Path, *, name: str) -> None:
    """Put a run's tables, which have no head, into a document, and keep the cuts it lacks.

    Raises ValueError where the document has no marks of that name.
    """
    page = Sections.of(tables.standing(document.read_text(encoding="utf-8"), name=name))
    whole = beside(page, Sections.of(found), head="")
    tables.put(whole.text(), document, name=name)
