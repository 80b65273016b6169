"""What holds for every learner, and what each one's formula says."""

import sys
from dataclasses import replace

import pytest
import torch

from coldstart_models.errors import ConfigError
from coldstart_models.siamese.learners.contest import (
    Contest,
    guard,
    hold_contest,
    without_support,
)
from coldstart_models.siamese.learners.demand import Demand
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.fold_in import BayesFoldIn
from coldstart_models.siamese.learners.inner import Start, moved, slope_along
from coldstart_models.siamese.learners.learner import FastWeights
from coldstart_models.siamese.learners.maml import Anil, FirstOrderMaml
from coldstart_models.siamese.learners.plain import FineTuning, NoAdaptation, SmoothedRate
from coldstart_models.siamese.learners.prototype import Prototype
from coldstart_models.siamese.learners.registry import LEARNERS, build_learner
from coldstart_models.siamese.learners.reptile import Reptile
from coldstart_models.siamese.learners.trust import Trust
from tests.coldstart_models.siamese.learners.generated import (
    MODALITIES,
    evidence,
    evidence_of,
    rehearsal,
)

ADAPTING = [name for name in LEARNERS if name != NoAdaptation.name]
TAUGHT = [name for name in ADAPTING if name != FineTuning.name]
"""What learns by the outer loop."""
LEARNING = [rehearsal(shots, seed=seed) for seed in (1, 2) for shots in (3, 10)]
VALIDATION = [rehearsal(shots, seed=3) for shots in (3, 10)]


@pytest.fixture(scope="module", params=list(LEARNERS))
def learned(request):
    learner = build_learner(request.param, modalities=MODALITIES)
    learner.learn(LEARNING)
    return learner


@torch.no_grad()
def test_without_support_nothing_changes(learned):
    weights = learned.adapt(evidence(0))
    assert weights.vectors.abs().max() == 0
    assert weights.bias.abs().max() == 0


@torch.no_grad()
def test_the_order_of_the_customers_says_nothing(learned):
    generator = torch.Generator().manual_seed(5)
    profiles = torch.randn(12, MODALITIES, 48, generator=generator)
    owner = torch.arange(4).repeat(3)
    order = torch.randperm(12, generator=generator)
    pace = torch.tensor([-1.0, 0.5, 1.0, 2.0])
    one, other = (
        learned.adapt(evidence_of(profiles[rows], owner[rows], listings=4, pace=pace))
        for rows in (torch.arange(12), order)
    )
    torch.testing.assert_close(one.vectors, other.vectors)
    torch.testing.assert_close(one.bias, other.bias)


@torch.no_grad()
def test_what_a_listing_learns_is_its_own(learned):
    """Another listing's customers do not change it."""
    together = evidence(5)
    one = Evidence(
        *(
            getattr(together, name) if name == "variance" else getattr(together, name)[:1]
            for name in Evidence.__dataclass_fields__
        )
    )
    torch.testing.assert_close(learned.adapt(one).vectors, learned.adapt(together).vectors[:1])


@pytest.mark.parametrize("name", ADAPTING)
def test_learned_on_a_known_world_it_ranks_later_listings_better(name):
    learner = build_learner(name, modalities=MODALITIES)
    learner.learn(LEARNING)
    for later in VALIDATION:
        with torch.no_grad():
            assert later.ndcg(learner.adapt(later.evidence)) > later.ndcg() + 0.02


@pytest.mark.parametrize("name", TAUGHT)
def test_what_the_outer_loop_taught_ranks_later_listings_better_than_what_it_began_with(
    name, monkeypatch
):
    taught, untaught = (build_learner(name, modalities=MODALITIES) for _ in range(2))
    taught.learn(LEARNING)
    monkeypatch.setattr(sys.modules[type(taught).learn.__module__], "descend", lambda *given: None)
    untaught.learn(LEARNING)  # the rest of it
    for later in VALIDATION:
        with torch.no_grad():
            began = later.ndcg(untaught.adapt(later.evidence))
            assert later.ndcg(taught.adapt(later.evidence)) > began + 0.02


@pytest.mark.parametrize(
    ("name", "learned"),
    [
        ("prototype", ("steps",)),
        ("maml", ("log_rates", "scales")),
        ("anil", ("log_rates", "scales")),
        ("reptile", ("scales",)),
        ("bayes", ("scales",)),
    ],
)
def test_the_outer_loop_learns_which_content_tells_and_that_pace_does(name, learned):
    """In this world customers differ from others in the first modality alone."""
    taught, began = (build_learner(name, modalities=MODALITIES) for _ in range(2))
    taught.learn(LEARNING)
    for each in learned:
        told, other = getattr(taught, each).tolist()
        assert told > getattr(began, each)[0] + 0.3
        assert told > other + 0.3
    assert (taught.demand.pace > began.demand.pace + 0.3).all()


@pytest.mark.parametrize("name", ["smoothed-rate", "neighbours"])
def test_the_outer_loop_scales_what_the_baselines_add(name):
    taught, began = (build_learner(name, modalities=MODALITIES) for _ in range(2))
    taught.learn(LEARNING)
    assert taught.scale > began.scale + 0.3


def test_no_adaptation_is_no_adaptation():
    weights = NoAdaptation().adapt(evidence(5))
    assert weights.vectors.abs().max() == 0
    assert VALIDATION[0].ndcg(weights) == VALIDATION[0].ndcg()


def test_mamls_outer_gradient_is_the_query_gradient_at_the_adapted_parameters():
    """With the inner loop's gradients as constants, in a computation of its own."""
    learner = FirstOrderMaml(MODALITIES)
    with torch.no_grad():
        learner.expected.fill_(0.3)
        learner.gates.fill_(0.8)
    later = VALIDATION[0]
    seen = replace(later.evidence, content=torch.ones_like(later.evidence.content))
    later.users.requires_grad_(False)
    learner.adapt(seen).effect(later.users).square().sum().backward()

    rates = (learner.log_rates.exp() * learner.trust(seen.known)).detach()
    start = Start(learner.expected.detach(), learner.gates.detach())
    slope = slope_along(start, seen, rates=rates, body=True)
    rate = rates[..., None]
    gates = start.gates.clone().expand_as(seen.profile).clone().requires_grad_()  # one a listing
    inside = (start.expected - rate * slope.expected) * seen.content - rate * slope.head
    before = start.gates * start.expected * seen.content
    change = (gates - rate * slope.gates) * inside - before
    scaled = learner.scales.detach()[:, None] * change
    bias = learner.adapt(seen).bias.detach()
    loss = (later.users.flatten(1) @ scaled.flatten(1).T + bias).square().sum()
    after = torch.autograd.grad(loss, gates)[0].sum(dim=0)
    known = learner.scales.detach()[:, None] * _before_gradient(later, learner, seen, rates, slope)
    torch.testing.assert_close(learner.gates.grad, after - known, rtol=1e-3, atol=1e-3)


def _before_gradient(later, learner, seen, rates, slope):
    """∂L/∂g through the part that the scorer stands for, −g ∘ a ∘ ζ."""
    start = Start(learner.expected.detach(), learner.gates.detach())
    vectors = learner.scales.detach()[:, None] * moved(start, slope, seen, rates)
    bias = learner.adapt(seen).bias.detach()
    scores = later.users.flatten(1) @ vectors.flatten(1).T + bias
    at_listing = (2 * scores).T @ later.users.flatten(1)  # ∂L/∂v of each listing
    return (at_listing.view_as(seen.profile) * start.expected * seen.content).sum(dim=0)


def test_anil_moves_the_head_alone():
    seen = replace(evidence(3), content=torch.ones(24, MODALITIES, 48))
    start = Start(torch.full((MODALITIES, 48), 0.5), torch.ones(MODALITIES, 48))
    rates = torch.full((24, MODALITIES), 0.2)
    head = slope_along(start, seen, rates=rates, body=Anil.body)
    whole = slope_along(start, seen, rates=rates, body=FirstOrderMaml.body)
    assert head.gates.abs().max() == head.expected.abs().max() == 0
    assert head.head.abs().max() > 0
    assert whole.gates.abs().max() > 0
    assert whole.expected.abs().max() > 0


def test_the_inner_loop_descends_on_the_support_loss():
    """One step of the head is the gradient of ½|v|² − <ψ̄, v>, by automatic differentiation."""
    seen = evidence(4)
    start = Start(torch.zeros(MODALITIES, 48), torch.full((MODALITIES, 48), 0.7))
    rates = torch.full((24, MODALITIES), 0.2)
    found = slope_along(start, seen, rates=rates, body=False, steps=1)
    head = torch.zeros_like(seen.profile, requires_grad=True)
    vectors = start.gates * head
    (0.5 * vectors.square().sum() - (vectors * seen.profile).sum()).backward()
    torch.testing.assert_close(found.head, head.grad)


def test_reptile_moves_toward_the_fine_tuned_weights():
    learner = Reptile(MODALITIES)
    seen = replace(evidence(10), content=torch.ones(24, MODALITIES, 48))
    ended = learner.fine_tuned(seen)
    gates, expected = learner.gates.clone(), learner.expected.clone()
    learner.approach(seen)
    for before, now, target in (
        (gates, learner.gates, ended.gates.mean(dim=0)),
        (expected, learner.expected, ended.expected.mean(dim=0)),
    ):
        assert (now - before).abs().max() > 0
        assert ((now - target).abs() <= (before - target).abs() + 1e-6).all()


@torch.no_grad()
def test_the_fold_in_is_the_posterior_mean_of_a_normal():
    learner = BayesFoldIn(MODALITIES)
    learner.expected.fill_(0.5)
    learner.between.fill_(0.4)
    learner.within.fill_(2.0)
    learner.scales.fill_(1.0)
    generator = torch.Generator().manual_seed(6)
    profiles = torch.randn(3, MODALITIES, 48, generator=generator)
    seen = evidence_of(profiles, torch.zeros(3, dtype=torch.long), listings=1, pace=torch.zeros(1))
    seen = replace(seen, content=torch.ones(1, MODALITIES, 48))
    prior = 0.5
    precision = 1 / 0.4 + 3 / 2.0
    posterior = (prior / 0.4 + profiles.sum(dim=0) / 2.0) / precision
    torch.testing.assert_close(learner.adapt(seen).vectors[0], (posterior - prior) / 2.0)


def test_the_fold_in_finds_how_far_listings_customers_differ():
    learner = BayesFoldIn(MODALITIES)
    learner.fit([rehearsal(20, seed=seed, listings=160) for seed in range(4)])
    assert learner.between[0, :4].tolist() == pytest.approx([1.5**2 / 4] * 4, rel=0.15)
    assert learner.between[0, 4:].max() < 0.03
    assert learner.within.tolist()[1] == pytest.approx([1.0] * 48, abs=0.1)


@torch.no_grad()
def test_the_smoothed_rate_is_the_mean_of_a_gamma():
    learner = SmoothedRate()
    learner.log_prior.fill_(torch.tensor(2.0).log())
    seen = replace(
        evidence(4, listings=2),
        pace=torch.tensor([[1.0, 1.0], [-1.0, -1.0]]),
        relative_span=torch.tensor([0.5, 2.0]),
    )
    expected = torch.tensor([(2 + 3) / (2 + 3 * 0.5), (2 + 3) / (2 + 3 * 2.0)]).log()
    torch.testing.assert_close(learner.adapt(seen).bias, expected)


@torch.no_grad()
@pytest.mark.parametrize("learned_trust", [0.1, 10.0, 1e4])
def test_trust_rises_with_the_customers_whatever_is_learned(learned_trust):
    trusted = Trust(learned_trust)(torch.tensor([0.0, 1, 2, 3, 5, 10, 20, 50]))
    assert trusted[0] == 0
    assert (trusted.diff() > 0).all()
    assert trusted[-1] < 1


@torch.no_grad()
def test_demand_is_the_pace_less_what_was_expected():
    demand = Demand(MODALITIES)
    seen = replace(
        evidence(5, listings=4),
        prior=torch.tensor([0.0, 1.0, 2.0, 3.0]),
        pace=torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.0, 0.0], [-1.0, 2.0]]),
    )
    demand.standardise([seen])
    demand.pace.copy_(torch.tensor([2.0, 1.0]))
    demand.shrinkage.copy_(torch.tensor([9.0, 0.5]))  # all are as near to the crowd
    expected = 0.5 * (seen.prior - 1.5) / seen.prior.std(correction=0)
    trusted = (4 / (4 + demand.trust.log_trust.exp())).sqrt()  # of the times between five
    shift = trusted * (torch.tensor([2.5, 0, 0, 0]) - expected)
    shift[2] = 0.0  # nothing tells when its customers came: what was expected stands
    torch.testing.assert_close(demand(seen), shift)
    single = replace(seen, customers=torch.ones(4))
    assert demand(single).tolist() == [0.0] * 4


@pytest.mark.parametrize("name", ["prototype", "maml", "anil", "reptile", "bayes"])
def test_no_weight_that_may_not_be_is_below_zero(name):
    """Though the customers of this world stand opposite to those who choose."""
    opposite = [
        replace(each, evidence=replace(each.evidence, pace=-each.evidence.pace))
        for each in LEARNING
    ]
    learner = build_learner(name, modalities=MODALITIES)
    learner.learn(opposite)
    assert learner.floored()
    for weights in learner.floored():
        assert torch.isfinite(weights).all()
        assert weights.min() >= 0
    assert learner.demand.pace.max() == 0


def test_what_does_not_help_on_validation_is_left_out():
    """A learner that was taught the opposite of the truth keeps nothing of it."""
    learner = build_learner("prototype", modalities=MODALITIES)
    with torch.no_grad():
        learner.steps.fill_(1.0)  # small steps the wrong way cannot be told from none
        misled = [
            replace(each, evidence=replace(each.evidence, profile=-each.evidence.profile))
            for each in VALIDATION
        ]
        guard(learner, misled, without=without_support(misled))
        assert learner.vector_share == 0
        assert learner.bias_share > 0
        assert learner.adapt(misled[0].evidence).vectors.abs().max() == 0


def test_so_few_customers_as_rank_worse_than_none_are_left_unused():
    few = rehearsal(2, seed=4)
    evil = replace(few, evidence=replace(few.evidence, pace=-few.evidence.pace))
    learner = build_learner("prototype", modalities=MODALITIES)
    with torch.no_grad():
        rehearsals = [evil, *VALIDATION]
        guard(learner, rehearsals, without=without_support(rehearsals))
        assert learner.fewest == 3
        assert learner.bias_share > 0
        assert evil.ndcg(learner.adapt(evil.evidence)) == evil.ndcg()
        assert learner.adapt(VALIDATION[0].evidence).bias.abs().max() > 0


@torch.no_grad()
def test_what_validation_cannot_tell_from_better_is_kept_whole():
    """Biases that rank a little worse than none do may do so by chance."""

    class Shaky(NoAdaptation):
        """It moves places at random, which is a little for the worse."""

        guarded = True

        def step(self, evidence):
            noise = torch.randn(len(evidence), generator=torch.Generator().manual_seed(4))
            nothing = FastWeights.nothing(evidence)
            return FastWeights(nothing.vectors, 0.05 * noise)

    learner = Shaky()
    reached = [each.ndcg(learner.step(each.evidence)) for each in VALIDATION]
    assert all(got < each.ndcg() for got, each in zip(reached, VALIDATION, strict=True))
    guard(learner, VALIDATION, without=without_support(VALIDATION))
    assert learner.vector_share == learner.bias_share == 1
    assert learner.fewest == 0


@torch.no_grad()
def test_the_fold_in_follows_more_customers_further():
    learner = BayesFoldIn(MODALITIES)
    learner.fit(LEARNING)
    one = evidence(1)
    lengths = [
        float(learner.adapt(replace(one, known=one.known * number)).vectors.norm())
        for number in (1, 3, 5, 10, 20)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_who_ranks_best_on_validation_wins_and_is_kept_where_no_other_is_usual():
    learners = [build_learner(name, modalities=MODALITIES) for name in LEARNERS]
    kept, contest = hold_contest(learners, LEARNING, VALIDATION, usual="nobody")
    means = {one.name: one.mean for one in contest.standings}
    assert list(means) == list(LEARNERS)
    assert contest.winner == contest.kept == kept.name == max(means, key=lambda name: means[name])
    taught = next(each for each in learners if each.name == contest.winner)
    with torch.no_grad():
        alone = {each.shots: each.ndcg(taught.adapt(each.evidence)) for each in VALIDATION}
    assert alone == next(one.by_shots for one in contest.standings if one.name == contest.winner)
    assert kept.vector_share == taught.vector_share
    anew = build_learner(contest.winner, modalities=MODALITIES)
    anew.learn([*LEARNING, *VALIDATION])
    for name, value in anew.named_parameters():
        torch.testing.assert_close(dict(kept.named_parameters())[name], value)
    assert contest.without == {each.shots: each.ndcg() for each in VALIDATION}


class Twin(Prototype):
    name = "twin"


def test_the_usual_learner_is_kept_unless_validation_tells_another_from_it():
    def held(usual: str) -> Contest:
        learners = [NoAdaptation(), Prototype(MODALITIES), Twin(MODALITIES)]
        kept, contest = hold_contest(learners, LEARNING, VALIDATION, usual=usual)
        assert kept.name == contest.kept
        assert contest.winner == "prototype"
        return contest

    assert held("nobody").kept == "prototype"
    assert held("twin").kept == "twin"
    assert held("none").kept == "prototype"


class Lift(NoAdaptation):
    """Lifts one listing for everybody."""

    name = "lift"

    def step(self, evidence):
        weights = FastWeights.nothing(evidence)
        weights.bias[5] = 10.0
        return weights


def test_the_usual_learner_is_kept_where_another_won_by_the_luck_of_a_listing():
    """A quarter of the people chose the listing that is lifted, and as many each of three others:
    by people alone that is beyond doubt, and it is one listing of four."""
    users = len(VALIDATION[0].users)
    chosen = torch.zeros_like(VALIDATION[0].chosen)
    chosen[torch.arange(users), torch.tensor([5, 8, 13, 21]).repeat(users)[:users]] = True
    validation = [replace(each, chosen=chosen) for each in VALIDATION]
    for each in validation:
        gained = each.outcome(Lift().adapt(each.evidence)).values - each.outcome().values
        assert gained.mean() > 3 * gained.std() / users**0.5
    kept, contest = hold_contest([NoAdaptation(), Lift()], LEARNING, validation, usual="none")
    assert (contest.winner, contest.kept, kept.name) == ("lift", "none", "none")


def test_of_equals_the_first_wins():
    learners = [NoAdaptation(), NoAdaptation()]
    winner, contest = hold_contest(learners, LEARNING, VALIDATION)
    assert contest.winner == winner.name == "none"


def test_an_unknown_learner_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="no learner is called 'reptil'; did you mean 'reptile'"):
        build_learner("reptil", modalities=2)
