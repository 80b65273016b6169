"""The report as a person sees it: in a browser without a network, in light and in dark."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.validation.conftest import NOW, Listings
from validation import gate, report
from validation.summary import summary_of

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
    *("--disable-sync", "--disable-extensions", "--disable-domain-reliability"),
    *("--window-size=1000,1600", "--enable-logging=stderr", "--virtual-time-budget=4000"),
)

NOBODY = "not an origin"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def shown(page: Path, folder: Path, *options: str) -> tuple[Image.Image, str, list[str]]:
    """A screenshot, what the console said, and the addresses that the page asked for.

    The browser asks for some of its own, which have no initiator.
    """
    folder.mkdir()
    picture, log = folder / "page.png", folder / "net.json"
    done = subprocess.run(
        [
            str(BROWSER),
            *OPTIONS,
            *options,
            f"--user-data-dir={folder / 'profile'}",
            f"--screenshot={picture}",
            f"--log-net-log={log}",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    events = json.loads(log.read_text())["events"]
    asked = [
        event["params"]["url"]
        for event in events
        if event.get("params", {}).get("initiator", NOBODY) != NOBODY
        and event["params"].get("url", "").startswith("http")
    ]
    with Image.open(picture) as image:
        return image.convert("RGB"), console, asked


def test_the_report_is_readable_in_light_and_dark_and_asks_for_nothing(
    listings: Listings, photos: dict[str, Path], tmp_path: Path
) -> None:
    ids = [f"i{number}" for number in range(80)]
    frame = listings(*ids, price=["x", *range(1, 80)], title=["<b>Oak</b>"] * 80)
    frame["image_path"] = [str(photos["good"])] * 3 + [str(photos["truncated"])] * 77
    known = gate.check_items(
        listings(*[f"k{number}" for number in range(60)]), known_items=None, now=NOW
    )
    result = gate.check_items(frame, known_items=known.accepted, now=NOW)
    page = report.write(
        [summary_of([result])],
        tmp_path / "r.html",
        title="Shop",
        now=NOW,
        known_items=known.accepted,
    )
    light, console, asked = shown(page, tmp_path / "light")
    dark, _, _ = shown(page, tmp_path / "dark", "--blink-settings=preferredColorScheme=0")
    assert console == ""
    assert asked == []
    assert np.asarray(light).std() > 5
    assert np.asarray(light).mean() > 150 > np.asarray(dark).mean()


def test_a_page_that_asks_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "asks.html"
    page.write_text('<img src="http://127.0.0.1:9/a.png"><script>console.error("oh")</script>')
    _, console, asked = shown(page, tmp_path / "shown")
    assert "oh" in console
    assert asked[0] == "http://127.0.0.1:9/a.png"
