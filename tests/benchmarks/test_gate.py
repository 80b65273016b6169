"""The gate's benchmark plants what it says, and its plain peer finds what the gate finds."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import defects, plain_gate
from benchmarks.defects import Defect
from benchmarks.gate import KINDS, ORIGINALS, Tally, batches, plant, rows_by_check, tallied
from benchmarks.gate_speed import listing_parts, listings, report_cost
from feature_repo.catalogs.marketplace import MarketplaceSize
from validation import comparisons, gate, suites
from validation.rules import Rules

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_there_are_many_kinds_each_with_a_check_that_exists():
    checks = {check.name for found in suites.every_check(now=NOW).values() for check in found}
    checks |= {f"{column}_allowed" for column in ("title", "description")}
    kinds = [kind for found in KINDS.values() for kind in found]
    assert len(kinds) >= 60
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert {kind.check for kind in kinds} <= checks


def test_every_kind_gets_rows_of_its_own_and_originals_stay_sound(tmp_path: Path):
    sound = listings(400)
    bench = defects.Bench(tmp_path, sound, sound.iloc[:ORIGINALS], np.random.default_rng(0))
    kinds = [kind for kind in defects.VALUES if kind.name != "id of another source"]
    batch, planted = plant(sound, kinds, bench)
    rows = [row for found in planted.values() for row in found]
    assert len(rows) == len(set(rows)) == sum(kind.rows for kind in kinds)
    assert min(rows) >= ORIGINALS
    kept = batch[sound.columns].iloc[:ORIGINALS]
    pd.testing.assert_frame_equal(kept, sound.iloc[:ORIGINALS])
    failing = rows_by_check(
        gate.check_items(
            batch, known_items=None, photos=False, rules=Rules(banned=defects.BANNED), now=NOW
        )
    )
    assert failing["price_not_negative"] == planted["price negative"]
    assert failing["title_no_control"] == planted["invisible in title"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tally]:
    """Of each kind what was planted and found, in a marketplace as small as its checks allow."""
    small = MarketplaceSize(users=60, home_listings=420, source_listings=40, weeks=6, sessions=10.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("benchmarks.gate.SIZE", small)
        for where in ("items", "photos"):
            kinds = [replace(kind, rows=2) if kind.rows == 5 else kind for kind in KINDS[where]]
            patched.setitem(KINDS, where, kinds)
        planted_in = batches(tmp_path_factory.mktemp("planted"), seed=0)
    return {
        name: tally
        for _, planted, kinds, result in planted_in
        for name, tally in tallied(planted, kinds, result).items()
    }


@pytest.mark.parametrize(
    "kind", [kind for kinds in KINDS.values() for kind in kinds], ids=lambda kind: kind.name
)
def test_what_is_planted_is_found_by_its_check(kind: Defect, found: dict[str, Tally]) -> None:
    """All of it; half where a row is held against the other listings, which are few here."""
    planted, hit, _ = found[kind.name]
    assert planted >= 2
    compared = kind.check in (*comparisons.CHECKS, "photo_watermark")
    assert hit >= (planted / 2 if compared else planted)


@pytest.mark.parametrize(
    ("rule", "check"),
    [
        ("price negative", "price_not_negative"),
        ("title placeholder", "title_no_placeholder"),
        ("listed later", "listed_at_not_in_future"),
        ("copies", "text_unlike_others"),
        ("title contact", "title_no_contact"),
        ("id twice", "duplicate_id"),
    ],
)
def test_the_plain_peer_breaks_the_same_rows(rule: str, check: str, tmp_path: Path):
    sound = listings(300)
    bench = defects.Bench(tmp_path, sound, sound.iloc[:ORIGINALS], np.random.default_rng(0))
    kinds = [kind for kind in defects.VALUES if kind.check == check]
    batch, _ = plant(sound, kinds, bench)
    result = gate.check_items(batch, known_items=None, photos=False, now=NOW)
    plain = plain_gate.failing_rows(batch, now=NOW)[rule]
    assert set(np.flatnonzero(plain)) == rows_by_check(result)[check]


def test_parts_of_generated_listings_are_all_different():
    parts = pd.concat(listing_parts(gate.CHUNK + 500))
    assert len(parts) == gate.CHUNK + 500
    assert parts["item_id"].is_unique
    assert parts["description"].is_unique


def test_a_report_of_nothing_but_rows_to_mend_stays_small():
    assert report_cost(3_000)["page_kilobytes"] < 1_000
