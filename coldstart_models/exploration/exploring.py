"""Exploration as a service carries it through a request: settings, budget, one turn a page."""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from coldstart_models.errors import ConfigError
from coldstart_models.exploration.budget import ListingBudget
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.page import Columns, ExploredPage, Field, arrange
from coldstart_models.exploration.policy import Greedy, Policy
from coldstart_models.exploration.thompson import Thompson

POLICIES: Final = ("greedy", "thompson", "linucb")
SHORTLIST: Final = 50
"""Arms of a page; bounds what is logged of it."""


def build_policy(name: str, *, floor: float = 0.1, draws: int = 256, width: float = 1.0) -> Policy:
    """One of POLICIES. Raises ConfigError for another name.

    Args:
        width: by how many deviations scores may move: of Thompson's draws, or LinUCB's bonus.
    """
    if name not in POLICIES:
        raise ConfigError(f"no policy is called {name!r}; known: {', '.join(POLICIES)}")
    if name == "thompson":
        return Thompson(draws=draws, width=width, floor=floor)
    if name == "linucb":
        return LinUCB(bonus=width, floor=floor)
    return Greedy(floor=floor)


@dataclass(frozen=True, slots=True)
class Explorer:
    """One policy under its budgets. Safe to share between threads."""

    policy: Policy
    per_page: int
    budget: ListingBudget
    shortlist: int = SHORTLIST

    def turn(self, page_id: str) -> "Turn":
        """One page; the same id on the same field draws the same."""
        return Turn(self, page_id)


class Turn:
    """Arranges one page and remembers how, for the log."""

    def __init__(self, explorer: Explorer, page_id: str) -> None:
        self._explorer = explorer
        self._rng = np.random.default_rng(seed_of(page_id))
        self.page: ExploredPage | None = None
        self.field: Field | None = None

    def arrange(self, field: Field, order: Columns) -> ExploredPage:
        """Explore the page that `order` would be, and count what its listings got."""
        explorer = self._explorer
        eligible = field.new.copy()
        eligible[field.new] = explorer.budget.open(field.item_ids[field.new])
        page = arrange(
            field,
            order,
            eligible,
            policy=explorer.policy,
            per_page=explorer.per_page,
            shortlist=explorer.shortlist,
            rng=self._rng,
        )
        explorer.budget.spend([str(field.item_ids[page.columns[place]]) for place in page.places])
        self.page, self.field = page, field
        return page


def seed_of(page_id: str) -> int:
    """What the page's draws start from: its id, so that they can be repeated."""
    return int.from_bytes(hashlib.blake2b(page_id.encode(), digest_size=8).digest(), "big")
