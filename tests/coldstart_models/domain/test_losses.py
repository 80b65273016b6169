"""Each loss against its formula, and each alignment against what it promises."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from coldstart_models.domain.alignment import (
    DomainCritic,
    coral,
    dann_strength,
    estimate_norms,
    reversed_gradient,
)
from coldstart_models.domain.contrast import (
    ClipLoss,
    SiglipLoss,
    positives_contrast,
    supervised_contrast,
)
from coldstart_models.errors import ConfigError


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def near(*shape, seed=0):
    return functional.normalize(rows(*shape, seed=seed), dim=1)


def test_clip_is_the_mean_of_both_directions_cross_entropies():
    photos, titles = near(5, 4), near(5, 4, seed=1)
    logits = 20 * photos @ titles.T
    expected = (
        -(
            functional.log_softmax(logits, 1).diag() + functional.log_softmax(logits, 0).diag()
        ).mean()
        / 2
    )
    torch.testing.assert_close(ClipLoss()(photos, titles), expected)


def test_clip_of_uninformative_vectors_is_the_log_of_the_batch():
    same = functional.normalize(torch.ones(7, 4), dim=1)
    assert ClipLoss()(same, same).item() == pytest.approx(math.log(7), rel=1e-5)


def test_nobody_belongs_to_itself():
    vectors, together = near(4, 3), torch.tensor([0, 0, 1, 2])
    together = together[:, None] == together[None]
    without = together & ~torch.eye(4, dtype=torch.bool)
    losses = [positives_contrast(vectors, one, temperature=0.1) for one in (together, without)]
    assert losses[0] == losses[1] > 0


def test_siglip_judges_every_pair_by_itself():
    photos, titles = near(3, 4), near(3, 4, seed=1)
    expected = 0.0
    for i in range(3):
        for j in range(3):
            logit = 10 * float(photos[i] @ titles[j]) - 10
            expected += math.log1p(math.exp(-logit if i == j else logit)) / 3
    assert SiglipLoss()(photos, titles).item() == pytest.approx(expected, rel=1e-4)


def test_a_title_that_two_listings_share_is_right_for_both():
    photos, titles = near(4, 8), near(4, 8, seed=1)
    titles[1] = titles[0]
    numbers = torch.tensor([0, 0, 2, 3])
    same = numbers[:, None] == numbers[None]
    logits = 20 * photos @ titles.T
    target = torch.tensor([[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    wrong = (functional.log_softmax(logits, 1) + functional.log_softmax(logits.T, 1)) * target
    torch.testing.assert_close(ClipLoss()(photos, titles, same), -wrong.sum(1).mean() / 2)
    near_title = titles[[0, 0, 2, 3]]
    siglip = SiglipLoss(bias=-5.0)
    assert siglip(near_title, titles, same) < siglip(near_title, titles)


@pytest.mark.parametrize("loss", [ClipLoss, SiglipLoss])
def test_descent_on_pairs_makes_each_find_the_other(loss):
    photos, titles = nn.Parameter(rows(8, 6)), nn.Parameter(rows(8, 6, seed=1))
    contrast = loss()
    optimizer = torch.optim.Adam([photos, titles, *contrast.parameters()], lr=0.05)

    def found():
        return contrast(functional.normalize(photos, dim=1), functional.normalize(titles, dim=1))

    first = found().item()
    for _ in range(100):
        optimizer.zero_grad()
        found().backward()
        optimizer.step()
    assert found().item() < 0.3 * first
    nearest = (functional.normalize(photos, dim=1) @ functional.normalize(titles, dim=1).T).argmax(
        1
    )
    assert nearest.tolist() == list(range(8))


def test_supervised_contrast_is_its_formula_and_leaves_unlabelled_ones_out():
    vectors, labels = near(5, 4), torch.tensor([0, 0, 1, 1, -1])
    logits = vectors @ vectors.T / 0.1
    expected = 0.0
    for i, p in ((0, 1), (1, 0), (2, 3), (3, 2)):
        others = [a for a in range(5) if a != i]
        expected -= (logits[i, p] - torch.logsumexp(logits[i, others], 0)) / 4
    torch.testing.assert_close(supervised_contrast(vectors, labels), expected)


def test_without_anyone_of_the_same_label_there_is_nothing_to_learn():
    vectors = near(3, 4).requires_grad_()
    loss = supervised_contrast(vectors, torch.tensor([0, 1, -1]))
    loss.backward()
    assert loss.item() == 0.0
    assert not vectors.grad.any()


def test_two_views_of_one_photo_are_each_others_only_positive():
    vectors = near(4, 4)
    numbers = torch.tensor([0, 1, 0, 1])
    same = (numbers[:, None] == numbers[None]) & ~torch.eye(4, dtype=torch.bool)
    labelled = supervised_contrast(vectors, numbers, temperature=0.5)
    torch.testing.assert_close(positives_contrast(vectors, same, temperature=0.5), labelled)


def test_coral_is_the_distance_of_covariances():
    source, target = rows(50, 3), rows(40, 3, seed=1) * 2
    expected = np.square(np.cov(source.T.numpy()) - np.cov(target.T.numpy())).sum() / (4 * 9)
    assert coral(source, target).item() == pytest.approx(expected, rel=1e-4)
    assert coral(source, source + 5).item() == pytest.approx(0, abs=1e-6)  # means do not count


def test_the_reversed_gradient_is_turned_around_and_scaled():
    features = rows(3, 2).requires_grad_()
    out = reversed_gradient(features, 0.5)
    assert torch.equal(out, features)
    (out * torch.tensor([1.0, 2.0])).sum().backward()
    assert torch.equal(features.grad, torch.tensor([-0.5, -1.0]).expand(3, 2))


def test_the_critic_learns_to_tell_domains_apart_and_features_learn_to_hide_them():
    generator = torch.Generator().manual_seed(0)
    critic = DomainCritic(2, generator=generator)
    source, target = rows(64, 2) + 3, rows(64, 2, seed=1) - 3
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        critic.loss(source, target, strength=1.0).backward()
        optimizer.step()
    told = critic.loss(source, target, strength=1.0)
    assert told.item() < 0.2
    moved = source.clone().requires_grad_()
    critic.loss(moved, target, strength=1.0).backward()
    step = moved.detach() - 50 * moved.grad  # what descent does to the features
    assert critic.loss(step, target, strength=1.0) > told


def test_the_strength_of_the_adversary_grows_from_zero():
    values = [dann_strength(progress) for progress in (0.0, 0.5, 1.0)]
    assert values[0] == 0.0
    assert values == sorted(values)
    assert values[2] == pytest.approx(1, abs=1e-3)


def test_estimated_norms_have_the_targets_statistics():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).eval()
    photos = rows(32, 3, 5, 5) * 3 + 1
    assert estimate_norms(backbone, backbone, [photos[:16], photos[16:]]) == 1
    with torch.no_grad():
        entering = backbone[0](photos)
    norm = backbone[1]
    torch.testing.assert_close(norm.running_mean, entering.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, entering.var((0, 2, 3)), rtol=0.02, atol=0.0)
    assert (norm.training, norm.momentum) == (False, 0.1)
    with torch.no_grad():
        leaving = norm(entering)
    assert leaving.mean((0, 2, 3)).abs().max() < 0.01


def test_an_encoder_without_batch_norms_cannot_have_them_estimated():
    with pytest.raises(ConfigError, match="has none; choose coral or dann"):
        estimate_norms(nn.Linear(2, 2), nn.Linear(2, 2), [])
