"""With which probability a slot goes to which arm, and the draw itself.

Slots of a page are drawn one after the other without replacement, by the same utilities: the
propensity of a slot is given what the slots before it drew.
"""

from dataclasses import dataclass

import numpy as np

from coldstart_models.exploration.policy import Arms, Bools, Floats, Policy


@dataclass(frozen=True, slots=True)
class Drawn:
    """One slot's arm."""

    arm: int
    propensity: float
    """With which it was drawn, given the slots before."""
    chances: Floats
    """(C,) of every arm; 0 where it is taken."""


def slot_chances(utilities: Floats, open_arms: Bools, *, floor: float) -> Floats:
    """(C,) probabilities of the open arms, which sum to 1; see `exploration.policy`.

    Args:
        utilities: (S, C)
        open_arms: (C,), at least one True.
    """
    count = int(open_arms.sum())
    if not count:
        raise ValueError("no arm is open, so that there is nothing to draw")
    best = np.where(open_arms, utilities, -np.inf).argmax(axis=1)
    shares = np.bincount(best, minlength=len(open_arms)) / len(utilities)
    return np.asarray((1.0 - floor) * shares + floor * open_arms / count)


def draw_slots(
    policy: Policy, arms: Arms, *, slots: int, rng: np.random.Generator
) -> tuple[Drawn, ...]:
    """Draw one arm for each of the slots, without replacement.

    Args:
        slots: at most as many as there are arms.
    """
    if slots > len(arms):
        raise ValueError(f"{slots} slots cannot be drawn from {len(arms)} arms")
    utilities = policy.utilities(arms, rng)
    open_arms = np.ones(len(arms), dtype=bool)
    drawn = []
    for _ in range(slots):
        chances = slot_chances(utilities, open_arms, floor=policy.floor)
        arm = int(rng.choice(len(chances), p=chances))
        drawn.append(Drawn(arm, float(chances[arm]), chances))
        open_arms[arm] = False
    return tuple(drawn)


def page_chances(
    policy: Policy, arms: Arms, chosen: tuple[int, ...], *, rng: np.random.Generator
) -> Floats:
    """(slots, C): the policy's probabilities at each slot, had the slots before gone as chosen."""
    utilities = policy.utilities(arms, rng)
    open_arms = np.ones(len(arms), dtype=bool)
    rows = np.empty((len(chosen), len(arms)))
    for slot, arm in enumerate(chosen):
        rows[slot] = slot_chances(utilities, open_arms, floor=policy.floor)
        open_arms[arm] = False
    return rows


def monte_carlo_error(chance: Floats | float, *, draws: int) -> Floats | float:
    """Standard error of a share of S draws as an estimate of the chance under all draws."""
    return np.sqrt(np.asarray(chance) * (1.0 - np.asarray(chance)) / draws)
