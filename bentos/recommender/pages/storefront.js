// The storefront: who is shopping, and what is recommended.

import { api, byId, element, say, withKey } from "./api.js";
import { followedItem, placeAgain, wireAdding } from "./adding.js";
import { card, pick, titleOf } from "./cards.js";

const PAGE = 12;
const BROWSED = 12;
const PAUSE = 250;

const shown = { user_ids: [], start: 0, currency: "" };
const visit = new Map();
let asked = 0;
let further = null;
let known = false;

const shop = {
  person,
  name: () => byId("user").value.trim() || (visit.size ? "this visitor" : "a stranger"),
  others: () => shown.user_ids.filter((id) => id !== byId("user").value.trim()),
  refresh: () => recommend(),
  filled: () => { byId("currency").value = shown.currency; },
};

/** Who is shopping, as the service takes it. */
function person() {
  const user = byId("user").value.trim();
  return {
    ...(user ? { user_id: user } : {}),
    ...(visit.size ? { session: [...visit.keys()].map((id) => ({ item_id: id })) } : {}),
  };
}

function wanted() {
  const price = Number(byId("price").value);
  return { k: PAGE, pool: byId("pool").value, ...(price > 0 ? { max_price: price } : {}), ...person() };
}

function cardOf(item, place) {
  return card(item, place, {
    picked: visit.has(item.item_id),
    press,
    person: () => (known ? { pool: byId("pool").value, ...person() } : null),
    mine: item.item_id === followedItem()?.item_id,
  });
}

/** The followed listing stands at the end where its place is further down than the page goes. */
function withFollowed(list) {
  for (const extra of list.querySelectorAll("[data-extra]")) extra.remove();
  const item = followedItem();
  if (!item || list.querySelector(".mine")) return;
  const made = cardOf(item, item.place);
  made.dataset.extra = "";
  list.append(made);
}

async function recommend() {
  const mine = ++asked;
  const list = byId("items");
  list.setAttribute("aria-busy", "true");
  if (!list.children.length) {
    list.append(...Array.from({ length: 8 }, () => element("li", { class: "skeleton", "aria-hidden": "true" })));
  }
  say(byId("note"), "Looking for listings …");
  try {
    const data = await api("recommend", wanted());
    if (mine !== asked) return;
    known = data.fallback === null;
    list.replaceChildren(...data.items.map((item, index) => cardOf(item, index + 1)));
    withFollowed(list);
    further = data.next;
    const name = shop.name();
    const found = `${data.items.length} listings for ${name}`;
    const none = `Nothing fits what was asked. Allow a higher price, or all listings.`;
    const reason = known ? "" : ", of whom nothing is known: what is expected to sell";
    say(byId("note"), data.items.length ? `${found}${reason}.` : none);
    byId("answering").dataset.model = data.model;
    byId("answering").textContent =
      "What is clicked as another customer and added here is real: it goes into the shop's log and catalogue. " +
      `Answered by ${data.model}, snapshot ${data.snapshot}.`;
  } catch (error) {
    if (mine !== asked) return;
    list.replaceChildren();
    further = null;
    say(byId("note"), error.message, true);
  } finally {
    if (mine === asked) {
      list.removeAttribute("aria-busy");
      byId("more").hidden = further === null;
    }
  }
}

async function showMore() {
  const mine = asked;
  const list = byId("items");
  byId("more").disabled = true;
  try {
    const data = await api("recommend", { ...wanted(), after: further });
    if (mine !== asked) return;
    for (const extra of list.querySelectorAll("[data-extra]")) extra.remove();
    const added = data.items.map((item, index) => cardOf(item, list.children.length + index + 1));
    list.append(...added);
    withFollowed(list);
    further = data.next;
    byId("more").hidden = further === null;
    say(byId("note"), `${list.querySelectorAll(".card:not([data-extra])").length} listings for ${shop.name()}.`);
    if (added.length) added[0].querySelector("button").focus();
  } catch (error) {
    say(byId("note"), error.message, true);
  } finally {
    byId("more").disabled = false;
  }
}

async function browse() {
  byId("others").disabled = true;
  try {
    let data = await api("showcase", { k: BROWSED, start: shown.start });
    if (!data.listings.length && shown.start) data = await api("showcase", { k: BROWSED, start: 0 });
    shown.start = data.listings.length < BROWSED ? 0 : shown.start + BROWSED;
    shown.user_ids = data.user_ids;
    shown.currency = data.currency || "";
    byId("browse").replaceChildren(
      ...data.listings.map((item) => element("li", {}, pick(item, visit.has(item.item_id), press))),
    );
    byId("users").replaceChildren(...data.user_ids.map((id) => element("option", { value: id })));
    byId("categories").replaceChildren(...data.categories.map((path) => element("option", { value: path })));
    if (!byId("currency").value) byId("currency").value = shown.currency;
    return true;
  } catch (error) {
    say(byId("note"), error.message, true);
    return false;
  } finally {
    byId("others").disabled = false;
  }
}

let timer = 0;

/** A photo was pressed: it joins the visit or leaves it. */
function press(item) {
  if (!visit.delete(item.item_id)) visit.set(item.item_id, item);
  afterVisit();
}

function afterVisit() {
  for (const button of document.querySelectorAll("button.pick")) {
    button.setAttribute("aria-pressed", String(visit.has(button.dataset.item)));
  }
  byId("visit").hidden = visit.size === 0;
  byId("picked").replaceChildren(
    ...[...visit.values()].map((item) =>
      element("li", {}, element("button", { type: "button", "aria-label": `Take back ${titleOf(item)}`, text: `${titleOf(item)} ×`, onclick: () => takeBack(item) })),
    ),
  );
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
}

function takeBack(item) {
  press(item);
  (byId("picked").querySelector("button") || byId("others")).focus();
}

async function ask() {
  await placeAgain(shop);
  await recommend();
}

async function begin() {
  if (!(await browse())) return;
  if (!byId("user").value && shown.user_ids.length) byId("user").value = shown.user_ids[0];
  await ask();
}

byId("who").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
byId("pool").addEventListener("change", ask);
byId("others").addEventListener("click", browse);
byId("clear").addEventListener("click", () => {
  visit.clear();
  afterVisit();
  byId("others").focus();
});
byId("more").addEventListener("click", showMore);
withKey(begin);
wireAdding(shop);
begin();
