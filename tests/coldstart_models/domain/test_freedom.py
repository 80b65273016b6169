"""What of an encoder is free, and that the cached path computes what the encoder does."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import vit_b_32

from coldstart_models.domain import feature_maps as maps
from coldstart_models.domain import towers
from coldstart_models.domain.blocks import split
from coldstart_models.domain.feature_maps import MapPlan, feature_maps
from coldstart_models.domain.freedom import Freedom, learned_backbone, photo_tower, text_tower
from coldstart_models.domain.lora import LowRank, add_low_rank, merge
from coldstart_models.domain.towers import (
    PENALTIES,
    WEIGHTS,
    Tower,
    foretelling_heads,
    principal_head,
    ridge_head,
)
from coldstart_models.domain.views import view
from coldstart_models.errors import ConfigError
from feature_repo.encoders.running import Runner
from feature_repo.errors import EncoderError
from tests.coldstart_models.domain.photos import KindWords, drawn, listings, network, photo_encoder
from validation.alignment import align


def probe():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_backbone_is_cut_into_blocks_that_reproduce_it():
    backbone = network().eval()
    blocks = split(backbone, probe())
    assert len(blocks) == 3
    for last in range(4):
        stem, tail = blocks.cut(last)
        with torch.no_grad():
            torch.testing.assert_close(tail(stem(probe())).flatten(1), backbone(probe()))
    assert next(iter(blocks.cut(1)[1].parameters())) is backbone[1][1][0].weight


def test_a_backbone_that_is_not_a_chain_is_told_from_one():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, inputs):
            return inputs + self.second(self.first(inputs))

    class Asking(nn.Module):
        """As CLIP's, which wants a title first."""

        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)

        def forward(self, title, photo=None):
            return self.first(photo.float() + title)

    assert split(Residual(), torch.ones(2, 4)) is None
    assert split(Asking(), torch.ones(2, 4)) is None
    assert split(vit_b_32().requires_grad_(False), torch.ones(1, 3, 224, 224)) is None
    encoder = photo_encoder(module=nn.Sequential(network(), nn.Unflatten(1, (4, 4)), Residual()))
    assert split(encoder.module, probe()) is not None  # opened no further than its blocks


def test_more_blocks_than_there_are_is_an_error():
    with pytest.raises(ConfigError, match="4 blocks are to be learned, but the backbone has 3"):
        split(network(), probe()).cut(4)


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_the_cached_path_gives_the_encoders_vectors(tmp_path, blocks):
    photos = listings(tmp_path / "photos", 40).photos
    encoder = photo_encoder()
    tower = photo_tower(
        encoder, photos, freedom=Freedom(blocks=blocks), views=1, seed=0, cache=tmp_path / "maps"
    )
    expected = encoder.encode([Image.open(path) for path in photos])
    found = tower.all_features(np.arange(40))
    np.testing.assert_allclose(found, expected, atol=2e-3)  # maps are float16
    assert tower.learns is (blocks > 0)
    frozen = [one for one in encoder.module.parameters() if not one.requires_grad]
    assert len(frozen) == 4 * (3 - blocks)


def test_maps_are_computed_once_and_gone_on_with_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "BATCH", 8)
    photos = listings(tmp_path / "photos", 20).photos
    encoder, told = photo_encoder(), []
    plan = MapPlan(photos, encoder.hash, free=1, views=2)

    def stem(inputs):
        told.append(len(inputs))
        if len(told) == 2:
            raise KeyboardInterrupt
        return encoder.pixels(inputs).mean((2, 3))

    def run():
        return feature_maps(plan, encoder=encoder, stem=stem, folder=tmp_path / "maps")

    with pytest.raises(KeyboardInterrupt):
        run()
    first = np.array(run())
    assert told == [16, 16, 16, 8]
    assert first.shape == (20, 2, 3)
    assert not np.allclose(first[:, 0], first[:, 1])
    np.testing.assert_array_equal(run(), first)
    assert len(told) == 4
    (tmp_path / "again").mkdir()
    whole = feature_maps(plan, encoder=encoder, stem=stem, folder=tmp_path / "again")
    np.testing.assert_array_equal(whole, first)  # interrupted or not, the same views


def test_two_that_want_the_same_maps_at_once_compute_them_once(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "BATCH", 4)
    shop, told = listings(tmp_path / "photos", 24), []

    # Here, not in the threads: weights are drawn from the one generator that all threads share.
    encoders = iter([photo_encoder() for _ in range(4)])

    def run(folder):
        encoder = next(encoders)
        prepare = encoder.prepare

        def slowly(image):
            time.sleep(0.005)
            told.append(folder)
            return prepare(image)

        monkeypatch.setattr(encoder, "prepare", slowly)
        tower = photo_tower(
            encoder, shop.photos, freedom=Freedom(1), views=1, seed=0, cache=tmp_path / folder
        )
        return tower.all_features(np.arange(24))

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(run, ["shared", "shared"]))
    assert told.count("shared") <= 24 + 4  # the probe of the backbone's blocks aside
    alone = run("alone")
    for found in (*both, run("shared")):
        np.testing.assert_allclose(found, alone, atol=5e-3)


def test_other_photos_or_another_encoder_are_other_maps(tmp_path):
    photos = listings(tmp_path / "photos", 3).photos
    plan = MapPlan(photos, "encoder", free=1)
    drawn(2, generator=np.random.default_rng(9)).save(tmp_path / "other.png")
    others = (
        MapPlan(photos, "another", free=1),
        MapPlan(photos, "encoder", free=2),
        MapPlan(photos, "encoder", free=1, views=2),
        MapPlan((*photos[:2], tmp_path / "other.png"), "encoder", free=1),
    )
    assert len({plan.name(), *(other.name() for other in others)}) == 5


def test_a_photo_that_cannot_be_read_is_named(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    with pytest.raises(EncoderError, match=r"broken\.jpg is not a photo"):
        photo_tower(photo_encoder(), [broken], freedom=Freedom(1), views=1, seed=0, cache=tmp_path)


def test_a_view_is_another_photo_of_the_same_thing_and_comes_from_the_generator():
    photo = drawn(0, generator=np.random.default_rng(0))
    views = [view(photo, generator=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(np.asarray(views[0]).shape, np.asarray(views[2]).shape)
    assert all(0.3 < one.width * one.height / 1024 <= 1 for one in views)


def test_low_rank_changes_start_at_the_base_and_merge_into_it():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    inputs = torch.randn(3, 6)
    before = module(inputs)
    names = add_low_rank(module, rank=2, generator=torch.Generator().manual_seed(0))
    assert names == ["0", "2"]
    torch.testing.assert_close(module(inputs), before)
    learned = [name for name, one in module.named_parameters() if one.requires_grad]
    assert learned == ["0.down", "0.up", "2.down", "2.up"]
    with torch.no_grad():
        module[0].up += 1
    changed = module(inputs)
    assert not torch.allclose(changed, before)
    merge(module)
    assert not any(isinstance(one, LowRank) for one in module.modules())
    torch.testing.assert_close(module(inputs), changed)


def test_a_low_rank_change_counts_where_attention_reads_weights_itself():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    inputs = torch.randn(2, 3, 8)
    before = module(inputs, inputs, inputs)[0]
    assert add_low_rank(module, rank=2, generator=torch.Generator().manual_seed(0)) == ["out_proj"]
    torch.testing.assert_close(module(inputs, inputs, inputs)[0], before)
    changed = module(inputs, inputs, inputs)[0]
    changed.square().sum().backward()
    assert module.out_proj.up.grad.abs().max() > 0
    with torch.no_grad():
        module.out_proj.up += 1
    changed = module(inputs, inputs, inputs)[0]
    assert not torch.allclose(changed, before)
    merge(module)
    torch.testing.assert_close(module(inputs, inputs, inputs)[0], changed)


def test_low_rank_changes_need_linear_layers():
    with pytest.raises(ConfigError, match="no linear layer named query"):
        add_low_rank(
            nn.Sequential(nn.Linear(2, 2)), rank=1, generator=torch.Generator(), layers=("query",)
        )
    with pytest.raises(ConfigError, match="unfreeze blocks instead"):
        add_low_rank(network(), rank=1, generator=torch.Generator())


def test_blocks_and_a_rank_exclude_each_other_and_texts_have_no_blocks(tmp_path):
    with pytest.raises(ConfigError, match="give one of the two"):
        Freedom(blocks=1, rank=1)
    with pytest.raises(ConfigError, match="low-rank changes, not blocks"):
        text_tower(KindWords(), ["lamp"], freedom=Freedom(blocks=1), seed=0, cache=tmp_path)
    with pytest.raises(ConfigError, match="no torch weights of its own"):
        text_tower(KindWords(), ["lamp"], freedom=Freedom(rank=1), seed=0, cache=tmp_path)


def test_a_text_encoder_that_stays_computes_its_vectors_once(tmp_path):
    texts, encoder = ["rug 1", "a lamp 3 with a long title", "sofa"], KindWords()
    tower = text_tower(encoder, texts, freedom=Freedom(), seed=0, cache=tmp_path)
    np.testing.assert_array_equal(tower.all_features(np.arange(3)), encoder.encode(texts))
    encoder.encode = None  # not asked again
    again = text_tower(encoder, texts, freedom=Freedom(), seed=0, cache=tmp_path)
    np.testing.assert_array_equal(
        again.all_features(np.arange(3)), tower.all_features(np.arange(3))
    )


def test_vectors_of_texts_are_gone_on_with_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "BATCH", 2)
    texts, encoder, told = ["rug 1", "a lamp 3 with a long title", "sofa"], KindWords(), []
    encode = encoder.encode

    def dying(batch):
        told.append(batch)
        if len(told) == 2:
            raise KeyboardInterrupt
        return encode(batch)

    encoder.encode = dying
    with pytest.raises(KeyboardInterrupt):
        maps.text_vectors(texts, encoder=encoder, folder=tmp_path)
    found = maps.text_vectors(texts, encoder=encoder, folder=tmp_path)
    assert told == [["sofa", "rug 1"], [texts[1]], [texts[1]]]
    np.testing.assert_array_equal(found, encode(texts))


def test_texts_are_where_their_encoder_computes_or_where_their_photos_are(tmp_path):
    def tower(encoder, beside=None):
        return text_tower(
            encoder, ["rug"], freedom=Freedom(), seed=0, cache=tmp_path, beside=beside
        )

    photos = Tower(None, nn.Identity(), device=torch.device("meta"))
    assert tower(KindWords()).device == torch.device("cpu")
    assert tower(KindWords(), photos).device == torch.device("meta")
    on_torch = KindWords()
    on_torch.runner = Runner(lambda batch: batch, device="cpu")
    adapted = KindWords()
    adapted.base = on_torch
    assert tower(adapted, photos).device == torch.device("cpu")
    with pytest.raises(ConfigError, match="'tiny' reads photos; titles need an encoder of texts"):
        tower(photo_encoder())


def test_prepared_photos_take_no_more_memory_than_is_allowed(tmp_path, monkeypatch):
    photos, prepared = listings(tmp_path / "photos", 10).photos, []
    encoder = photo_encoder(module=nn.Sequential(network(), nn.Linear(16, 16)))
    prepare = encoder.prepare
    monkeypatch.setattr(encoder, "prepare", lambda one: prepared.append(1) or prepare(one))

    def asked_twice(most):
        monkeypatch.setattr(towers, "MOST_KEPT", most)
        prepared.clear()
        inputs = photo_tower(
            encoder,
            photos[:8],
            photos[8:],
            freedom=Freedom(rank=2),
            views=2,
            seed=0,
            cache=tmp_path,
        ).inputs
        rows, views = np.arange(10).repeat(2), np.tile([0, 1], 10)
        found = [inputs.batch(rows, views) for _ in range(2)]
        assert torch.equal(*found)
        assert inputs.kept_bytes <= most
        return found[0], len(prepared)

    one_photo = 32 * 32 * 3
    whole, count = asked_twice(2**30)
    assert count == 8 * 2 + 2  # the source's photos have one view
    assert torch.equal(whole[16], whole[17])
    assert not torch.equal(whole[0], whole[1])
    bounded, count = asked_twice(5 * one_photo)
    assert torch.equal(whole, bounded)
    assert count == 18 + 13


def test_the_sources_photos_follow_with_one_view_each(tmp_path):
    photos = listings(tmp_path / "photos", 10).photos
    encoder = photo_encoder()
    tower = photo_tower(
        encoder,
        photos[:6],
        photos[6:],
        freedom=Freedom(blocks=1),
        views=3,
        seed=0,
        cache=tmp_path / "maps",
    )
    assert tower.inputs.views == 3
    expected = encoder.encode([Image.open(path) for path in photos])
    np.testing.assert_allclose(tower.all_features(np.arange(10)), expected, atol=2e-3)
    second = tower.all_features(np.arange(10), view=1)
    np.testing.assert_allclose(second[6:], expected[6:], atol=2e-3)
    assert not np.allclose(second[:6], expected[:6], atol=2e-3)


def test_a_head_alone_leaves_the_backbone_as_it_is(tmp_path):
    photos = listings(tmp_path / "photos", 3).photos
    encoder = photo_encoder()
    tower = photo_tower(encoder, photos, freedom=Freedom(), views=1, seed=0, cache=tmp_path)
    assert learned_backbone(encoder, tower) is None


def test_the_principal_head_keeps_distances_and_the_ridge_head_fits_a_map():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(60, 6)).astype(np.float32)
    head = principal_head(features, width=10)
    assert (head.out_features, head.in_features) == (6, 6)
    found = head(torch.from_numpy(features)).detach().numpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(found[0] - found[1]), np.linalg.norm(features[0] - features[1]), rtol=1e-5
    )
    narrow = principal_head(features * [9, 5, 1, 1, 1, 1], width=2)
    assert narrow.weight.abs().argmax(1).tolist() == [0, 1]
    targets = (features @ generator.normal(size=(6, 3)) + 2).astype(np.float32)
    fitted = ridge_head(features, targets, penalty=1e-6)(torch.from_numpy(features))
    np.testing.assert_allclose(fitted.detach().numpy(), targets, atol=1e-3)


def test_a_ridge_head_is_the_map_that_the_gate_checks_photos_by():
    generator = np.random.default_rng(0)
    photos = generator.normal(size=(200, 6)).astype(np.float32)
    titles = generator.normal(size=(200, 3)).astype(np.float32)
    known, head = align(photos, titles), ridge_head(photos, titles)
    np.testing.assert_allclose(head.weight.detach().numpy(), known.weights.T, atol=1e-6)
    mapped = head(torch.from_numpy(photos)).detach().numpy()
    expected = (photos - known.photo_mean) @ known.weights + known.text_mean
    np.testing.assert_allclose(mapped, expected, atol=1e-5)


def test_foretelling_heads_put_a_photo_beside_the_title_it_foretells():
    generator = np.random.default_rng(0)
    photos = generator.normal(size=(200, 6)).astype(np.float32)
    titles = (photos @ generator.normal(size=(6, 3)) + 2).astype(np.float32)
    likeness = []
    for weight, (photo, title) in zip(
        WEIGHTS * len(PENALTIES), foretelling_heads(photos, titles, width=4), strict=True
    ):
        of_photos, of_titles = (
            head(torch.from_numpy(one)).detach().numpy()
            for head, one in ((photo, photos), (title, titles))
        )
        assert of_photos.shape == of_titles.shape == (200, 4 + 3)
        for part, length in (
            (of_photos[:, :4], 1),
            (of_photos[:, 4:], weight),
            (of_titles[:, :4], 1),
            (of_titles[:, 4:], 1),
        ):
            assert np.linalg.norm(part, axis=1).mean() == pytest.approx(length, abs=1e-3)
        np.testing.assert_allclose(of_titles[:, 4:].mean(0), 0, atol=1e-5)
        foretold, own = of_photos[:, 4:], of_titles[:, 4:]
        lengths = np.linalg.norm(foretold, axis=1) * np.linalg.norm(own, axis=1)
        likeness.append(((foretold * own).sum(1) / lengths).mean())
    assert likeness[0] > likeness[-1] > 0.98  # of an exact map: the less penalty the better
