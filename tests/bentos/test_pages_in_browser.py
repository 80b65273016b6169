"""The pages as people use them: a really served shop in a real browser, by mouse, keys and touch.

Screenshots are looked at, and left in the test's temporary folder.
"""

import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from bentos.recommender.desk import QUICK
from coldstart_models.api_keys import OPEN_VARIABLE
from feature_repo.feature_tables import FEATURE_TABLES
from tests.bentos import generated_shop
from tests.bentos.screenshots import assert_photo_is_shown, screenshot
from tests.bentos.servers import served

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
LARGE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
PATIENCE = 60_000.0
"""Milliseconds; the first listing waits for the encoders."""
HOSTILE = "Oak shelf <img src=/x onerror=\"document.title='taken over'\"> with drawers"
KEY = "s3cret"
EXPERIMENT = """
[experiment]
name = "blend-2026"
share = 0.5
variants = [{name = "as learned"}, {name = "half general", weight = 0.25, personal = 0.5}]
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the served shop, in which an experiment runs."""
    folder = tmp_path_factory.mktemp("shop")
    home = generated_shop.generated_shop(folder / "home")
    (folder / "coldstart.toml").write_text(EXPERIMENT)
    command = ("bentos.recommender.serve",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OPEN_VARIABLE, "1")
        patch.setenv("COLDSTART_CONFIG", str(folder / "coldstart.toml"))
        with served(*command, home=home, log=folder / "server.log") as (client, _):
            yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


class Visit:
    """One page of one visitor, and what went wrong on it."""

    def __init__(self, browser: Any, client: httpx.Client, **options: Any) -> None:
        self.origin = str(client.base_url).rstrip("/")
        self.context = browser.new_context(**{"viewport": LARGE, **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.origin, "blob:")):
            self.problems.append(f"asked {request.url}")

    def open(self, path: str) -> Any:
        self.page.goto(f"{self.origin}/{path}")
        return self.page

    def storefront(self) -> Any:
        """The page with recommendations on it."""
        page = self.open("ui")
        page.wait_for_selector("#items .card")
        page.wait_for_selector("#items:not([aria-busy])")
        return page


@pytest.fixture
def visit(shop: httpx.Client, browser: Any) -> Iterator[Visit]:
    """A visit on a large screen, on which nothing may go wrong."""
    made = Visit(browser, shop)
    yield made
    made.context.close()
    assert made.problems == []


@pytest.fixture
def on_phone(shop: httpx.Client, browser: Any) -> Iterator[Visit]:
    made = Visit(browser, shop, viewport=PHONE, has_touch=True, is_mobile=True)
    yield made
    made.context.close()
    assert made.problems == []


def says(page: Any, name: str, words: str) -> None:
    """Wait until a live region says so."""
    playwright.expect(page.locator(f"#{name}")).to_contain_text(words, timeout=PATIENCE)


def order(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        "#items .card", "cards => cards.map(card => card.dataset.item)"
    )
    return found


def photos(page: Any, shop: httpx.Client) -> dict[str, bytes]:
    """Of the recommended listings that have one, in order."""
    answers = {one: shop.get(f"/photos/{one}") for one in order(page)}
    return {one: answer.content for one, answer in answers.items() if answer.is_success}


def assert_photos_are_shown(page: Any, shop: httpx.Client) -> None:
    """The first recommended cards show the photos of their listings."""
    shown = photos(page, shop)
    assert len(shown) >= 4
    for item_id in list(shown)[:3]:
        image = page.locator(f'#items .card[data-item="{item_id}"] img')
        others = [photo for other, photo in shown.items() if other != item_id]
        assert_photo_is_shown(page, image, shown[item_id], others)


def add_listing(page: Any, tmp_path: Path, *, title: str) -> bytes:
    """Fill the form in and send it; the photo."""
    listing, photo = generated_shop.new_listing(tmp_path / "feed")
    page.set_input_files("#photo", photo)
    page.wait_for_selector("#preview:not([hidden])")
    page.fill("#title", title)
    page.fill("#category", listing["category"])
    page.fill("#cost", "49.90")
    page.click("#send")
    page.wait_for_selector("#followed:not([hidden])")
    playwright.expect(page.locator("#place")).not_to_have_text("–")
    return photo.read_bytes()


def test_the_whole_mission_on_one_page(visit: Visit, shop: httpx.Client, tmp_path: Path) -> None:
    page = visit.storefront()
    first = order(page)
    user = page.input_value("#user")
    told = shop.post("/recommend", json={"user_id": user, "k": 12}).json()
    assert first == [item["item_id"] for item in told["items"]]
    assert page.locator("#items .badge").count() == sum(one["is_new"] for one in told["items"])
    assert_photos_are_shown(page, shop)
    screenshot(page, tmp_path / "storefront.png", full_page=True)

    page.locator("#items .card").first.hover()
    reasons = page.locator("#items .card").first.locator(".reasons")
    reasons.locator(".parts li").first.wait_for()
    assert told["items"][0]["reason"] in reasons.inner_text()
    screenshot(page, tmp_path / "reasons.png")

    page.fill("#user", "")
    page.click("#go")
    says(page, "note", "nothing is known")
    stranger = order(page)
    page.locator("#browse .pick").nth(0).click()
    page.locator("#browse .pick").nth(3).click()
    says(page, "note", "this visitor.")
    assert page.locator("#picked button").count() == 2
    assert order(page) != stranger
    screenshot(page, tmp_path / "visitor.png")

    others = photos(page, shop)
    photo = add_listing(page, tmp_path, title=HOSTILE)
    assert page.locator("#follow-title").inner_text() == HOSTILE
    page.wait_for_selector("#items .mine")
    (added,) = page.eval_on_selector_all("#items .mine", "all => all.map(one => one.dataset.item)")
    assert page.locator(f'.card[data-item="{added}"] h3').text_content() == HOSTILE
    assert page.locator(f'.card[data-item="{added}"] img').get_attribute("alt") == HOSTILE
    mine = page.locator(f'.card[data-item="{added}"] img')
    assert_photo_is_shown(page, mine, photo, list(others.values()))
    assert page.title() == "New arrivals"

    places = [int(page.locator("#place").inner_text())]
    for clicks in range(1, 4):
        page.click("#clicks")
        playwright.expect(page.locator("#moves tr")).to_have_count(clicks, timeout=PATIENCE)
        page.wait_for_selector("#clicks:enabled")
        places.append(int(page.locator("#place").inner_text()))
    rows = page.eval_on_selector_all(
        "#moves tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    )
    assert [(int(row[1]), int(row[2])) for row in rows] == list(pairwise(places))
    assert len({row[0] for row in rows}) == 3
    assert len(set(places)) > 1
    session = page.eval_on_selector_all(
        "#browse [aria-pressed=true]", "all => all.map(one => ({item_id: one.dataset.item}))"
    )
    place = shop.post("/place", json={"item_id": added, "session": session}).json()
    assert (place["place"], place["support"]) == (places[-1], 3)
    page.locator("#add-title").scroll_into_view_if_needed()
    screenshot(page, tmp_path / "moved.png", full_page=True)


def test_a_listing_that_is_held_back_is_told_why(visit: Visit, tmp_path: Path) -> None:
    page = visit.storefront()
    photo = tmp_path / "broken.jpg"
    photo.write_bytes(b"\xff\xd8 no photo")
    page.set_input_files("#photo", photo)
    says(page, "added", "cannot read")
    page.fill("#title", "Pine bench")
    page.fill("#cost", "20")
    page.click("#send")
    page.wait_for_selector("#told .reasons-held li")
    assert "photo" in page.locator("#told").inner_text()
    assert page.locator("#followed").is_hidden()
    screenshot(page, tmp_path / "held.png")


def test_everything_works_by_keyboard_and_focus_is_seen(visit: Visit, tmp_path: Path) -> None:
    page = visit.storefront()

    def focused() -> str:
        found: str = page.evaluate("document.activeElement.id || document.activeElement.className")
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2
        return found

    def tab_to(name: str, *, most: int = 120) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if name in focused():
                return
        raise AssertionError(f"{name} is not reached by Tab")

    page.keyboard.press("Tab")
    assert focused() == "skip"
    tab_to("user")
    other = page.eval_on_selector_all("#users option", "all => all[2].value")
    page.keyboard.press("Control+A")
    page.keyboard.type(other)
    page.keyboard.press("Enter")
    says(page, "note", f"{other}")
    tab_to("pick")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.wait_for_selector("#picked button")
    page.wait_for_timeout(400)
    page.wait_for_selector("#items:not([aria-busy])")
    tab_to("why")
    why = "document.activeElement"
    assert page.evaluate(f"{why}.getAttribute('aria-expanded')") == "true"
    described = page.evaluate(f"{why}.getAttribute('aria-describedby')")
    assert page.locator(f"#{described}").is_visible()
    screenshot(page, tmp_path / "focused.png")
    page.keyboard.press("Escape")
    assert page.locator(f"#{described}").is_hidden()
    page.keyboard.press("Enter")
    assert page.locator(f"#{described}").is_visible()
    tab_to("photo")
    listing, photo = generated_shop.new_listing(tmp_path / "feed")
    page.set_input_files("#photo", photo)
    tab_to("title")
    page.keyboard.type("Walnut step stool")
    tab_to("category")
    page.keyboard.type(listing["category"])
    page.keyboard.press("Escape")
    tab_to("cost")
    page.keyboard.type("35")
    page.keyboard.press("Enter")
    page.wait_for_selector("#followed:not([hidden])")
    playwright.expect(page.locator("#place")).not_to_have_text("–")
    page.wait_for_selector("#send:enabled")
    tab_to("other")
    page.keyboard.press("Enter")
    page.wait_for_selector("#moves tr")


def test_a_phone_shows_both_pages_without_scrolling_sideways(
    on_phone: Visit, shop: httpx.Client, tmp_path: Path
) -> None:
    page = on_phone.storefront()
    screenshot(page, tmp_path / "phone-first.png", full_page=True)
    assert_photos_are_shown(page, shop)
    card = page.locator("#items .card").nth(1)
    card.locator(".why").tap()
    card.locator(".parts li").first.wait_for()
    screenshot(page, tmp_path / "phone.png", full_page=True)
    card.locator(".why").tap()
    page = on_phone.open("ui/operations")
    page.wait_for_selector("#sections:not([hidden])")
    screenshot(page, tmp_path / "phone-operations.png", full_page=True)


def test_the_operations_page_tells_what_the_operation_answers(
    visit: Visit, shop: httpx.Client, tmp_path: Path
) -> None:
    bad = {"item_id": "bad-1", "title": "Bad", "price": -1}
    assert shop.post("/listings", json={"listings": [bad]}).json()["accepted"] == []
    time.sleep(QUICK)  # what was read for somebody who looked a moment ago
    page = visit.open("ui/operations")
    page.wait_for_selector("#sections:not([hidden])")
    told = shop.post("/operations", json={}).json()
    views = page.eval_on_selector_all(
        "#views tr", "rows => rows.map(row => row.cells[0].innerText)"
    )
    assert views == [view["view"] for view in told["features"]["views"]] == sorted(FEATURE_TABLES)
    assert page.locator("#runs tr").count() == len(told["gate"]["runs"])
    assert "price_not_negative" in page.locator("#held").inner_text()
    assert told["gate"]["reports"][0]["name"] in page.locator("#reports").inner_text()
    screenshot(page, tmp_path / "operations.png", full_page=True)
    with visit.context.expect_page() as opened:
        page.locator("#reports a").first.click(modifiers=["Control"])
    assert opened.value.url.startswith(visit.origin)


def test_the_operations_page_shows_the_experiment_that_runs(
    visit: Visit, shop: httpx.Client, tmp_path: Path
) -> None:
    users = shop.post("/showcase", json={}).json()["user_ids"]
    told = [shop.post("/recommend", json={"user_id": user, "k": 3}).json() for user in users]
    variants = {answer["variant"] for answer in told}
    assert variants == {"as learned", "half general", None}
    time.sleep(QUICK)
    page = visit.open("ui/operations")
    page.wait_for_selector("#variants tr")
    experiment = shop.post("/operations", json={}).json()["experiment"]
    assert sum(one["people"] for one in experiment["variants"]) > 10
    note = page.locator("#experiment-note")
    assert note.inner_text() == "“blend-2026” takes 50 % of the people."
    shown = page.eval_on_selector_all(
        "#variants tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    personal = {None: "as learned", 0.5: "0.5"}
    assert shown == [
        [
            one["name"],
            share,
            str(one["people"]),
            str(one["pages"]),
            one["model"],
            "off",
            personal[one["personal"]],
        ]
        for share, one in zip(["80 %", "20 %"], experiment["variants"], strict=True)
    ]
    assert page.locator("#variants-region").is_visible()
    page.locator("#experiment-title").scroll_into_view_if_needed()
    screenshot(page, tmp_path / "experiment.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["ui", "ui/operations"])
def test_axe_finds_nothing(
    shop: httpx.Client, browser: Any, tmp_path: Path, scheme: str, path: str
) -> None:
    made = Visit(browser, shop, color_scheme=scheme)
    page = made.storefront() if path == "ui" else made.open(path)
    if path == "ui":
        page.locator("#browse .pick").first.click()
        page.wait_for_selector("#picked button")
        page.wait_for_timeout(400)
        page.wait_for_selector("#items:not([aria-busy])")
        page.locator("#items .why").first.focus()
        page.locator("#items .parts li").first.wait_for()
    else:
        page.wait_for_selector("#sections:not([hidden])")
    screenshot(page, tmp_path / f"{path.replace('/', '-')}-{scheme}.png", full_page=True)
    made.context.close()
    # axe is evaluated as a string, which the pages' own policy rightly refuses
    unguarded = Visit(browser, shop, color_scheme=scheme, bypass_csp=True)
    page = unguarded.storefront() if path == "ui" else unguarded.open(path)
    page.wait_for_selector("#items .card" if path == "ui" else "#sections:not([hidden])")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    unguarded.context.close()


def test_a_key_that_is_asked_for_is_kept_for_the_tab_and_sent(
    shop: httpx.Client, browser: Any, tmp_path: Path
) -> None:
    made = Visit(browser, shop)
    sent: list[str | None] = []

    def guard(route: Any) -> None:
        sent.append(route.request.headers.get("authorization"))
        if sent[-1] == f"Bearer {KEY}":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "no key"})

    for operation in ("recommend", "showcase", "place", "explain", "operations"):
        made.page.route(f"{made.origin}/{operation}", guard)
    page = made.open("ui")
    page.wait_for_selector("#key-asked:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "key"
    assert "asks for a key" in page.locator("#note").inner_text()
    screenshot(page, tmp_path / "key.png")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    says(page, "note", "not take this")
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#items .card")
    assert page.locator("#key-asked").is_hidden()
    made.open("ui/operations").wait_for_selector("#sections:not([hidden])")
    assert set(sent) == {None, "Bearer wrong", f"Bearer {KEY}"}
    page.click("#forget-key")
    page.wait_for_selector("#key-asked:not([hidden])")
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0
    made.context.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 503, "json": [{"error": "the store is away"}]}, "the store is away"),
        ({"status": 429, "headers": {"Retry-After": "7"}, "body": ""}, "in 7 seconds"),
        ({"status": 502, "body": "<html>"}, "not ready"),
        (None, "does not answer"),
    ],
)
def test_what_goes_wrong_is_said_in_words(
    shop: httpx.Client, browser: Any, answer: dict[str, Any] | None, words: str
) -> None:
    made = Visit(browser, shop)
    made.page.route(
        f"{made.origin}/recommend",
        lambda route: route.abort() if answer is None else route.fulfill(**answer),
    )
    page = made.open("ui")
    says(page, "note", f"{words}")
    assert page.locator("#note").get_attribute("class") == "note error"
    assert page.locator("#items > li").count() == 0
    made.context.close()
