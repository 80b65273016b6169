"""What serves a request: model, policy and blend, by the unit's variant.

Without an experiment there is one lane, the configuration's. All lanes share one budget of
explored exposures, because a listing is one listing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coldstart_models.exploration.budget import ListingBudget
from coldstart_models.exploration.exploring import Explorer, build_policy

if TYPE_CHECKING:
    from coldstart_models.config import Config, ExploreConfig, PolicyChoice
    from coldstart_models.experiments.bucketing import Experiment
    from coldstart_models.recommending import Recommender


@dataclass(frozen=True, slots=True)
class Lane:
    """One way to serve."""

    recommender: "Recommender"
    explorer: Explorer | None
    personal: float | None = None
    experiment: str | None = None
    variant: str | None = None

    @property
    def policy_id(self) -> str | None:
        """Of the policy of exploration."""
        return self.explorer.policy.policy_id if self.explorer else None


class Lanes:
    """The lanes of a service."""

    def __init__(
        self,
        settings: "Config",
        recommender: "Recommender",
        *,
        models: "dict[str, Recommender]",
        budget: ListingBudget,
    ) -> None:
        """Take `of` for a service's first lanes.

        Args:
            models: by tag, those of the variants among them; the served one leads the others.
        """
        explore, experiment = settings.explore, settings.experiment.experiment()
        asked = experiment.variants if experiment else ()
        self.models = {
            recommender.tag: recommender,
            **{one.model: models[one.model] for one in asked if one.model},
        }
        self.default = Lane(recommender, _explorer(explore.policy, explore, budget))
        self._settings, self._budget, self._experiment = settings, budget, experiment
        self._variants = {
            variant.name: Lane(
                self.models[variant.model] if variant.model else recommender,
                _explorer(variant.policy or explore.policy, explore, budget),
                variant.personal,
                experiment.name if experiment else None,
                variant.name,
            )
            for variant in asked
        }
        for model in self.models.values():
            if model is not recommender:
                model.lead(())
        recommender.lead(self.followers)

    @classmethod
    def of(
        cls,
        settings: "Config",
        recommender: "Recommender",
        *,
        spent: Callable[[], dict[str, int]],
        load: "Callable[[str], Recommender]",
    ) -> "Lanes":
        """The lanes that the configuration asks for.

        Args:
            recommender: the served model's.
            spent: explored exposures of before, by listing; asked where anything explores.
            load: a recommender by a variant's model tag; events and listings reach it through
                the served one.
        """
        experiment = settings.experiment.experiment()
        asked = experiment.variants if experiment else ()
        policies = {settings.explore.policy, *(one.policy for one in asked)} - {"off", None}
        budget = ListingBudget(settings.explore.per_listing, spent=spent() if policies else None)
        models = {recommender.tag: recommender}
        for tag in sorted({one.model for one in asked if one.model}):
            if tag not in models:
                models[tag] = load(tag)
        return cls(settings, recommender, models=models, budget=budget)

    @property
    def followers(self) -> "list[Recommender]":
        """The variants' models, which take in what the served one takes in."""
        return [one for one in self.models.values() if one is not self.default.recommender]

    def served_by(self, recommender: "Recommender") -> "Lanes":
        """The same lanes with another model in place of the served one, which leads no more.

        What was explored stays counted, and a variant that names its model keeps it.
        """
        self.default.recommender.lead(())
        models = {**self.models, recommender.tag: recommender}
        return Lanes(self._settings, recommender, models=models, budget=self._budget)

    @property
    def explores(self) -> bool:
        """Whether any lane gives places by exploration."""
        return any(lane.explorer for lane in (self.default, *self._variants.values()))

    def count_explored(self, spent: Mapping[str, int]) -> None:
        """Take up how often listings were explored in all, by other processes too."""
        self._budget.at_least(spent)

    @property
    def experiment(self) -> "Experiment | None":
        """The test that runs."""
        return self._experiment

    @property
    def variants(self) -> Mapping[str, Lane]:
        """Its lanes by variant, in order; none without a test."""
        return self._variants

    @property
    def logged(self) -> bool:
        """Whether pages are kept: something is explored or tested."""
        return self._experiment is not None or self.default.explorer is not None

    def lane_of(self, unit: str | None) -> Lane:
        """The lane of a user or session; who has no id takes part in no experiment."""
        variant = self._experiment.variant_of(unit) if self._experiment and unit else None
        return self._variants[variant.name] if variant else self.default


def _explorer(
    policy: "PolicyChoice | str", settings: "ExploreConfig", budget: ListingBudget
) -> Explorer | None:
    if policy == "off":
        return None
    built = build_policy(policy, floor=settings.floor, draws=settings.draws, width=settings.width)
    return Explorer(built, settings.per_page, budget)
