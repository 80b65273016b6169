// A listing's card: photo, badge, and the reasons on hover, focus and tap.

import { address, api, bar, element } from "./api.js";

const TERMS = {
  "popularity": "Sells in general",
  "photo": "Looks alike",
  "text": "Reads alike",
  "words": "Shares its words",
  "spelling": "Shares parts of its words",
  "attributes": "Same kind, brand or price",
  "together": "Bought with things like it",
  "general": "Chosen together in other shops",
  "general photo": "Looks like what other shops sell together",
  "first customers": "Its first customers",
  "pace of first customers": "How fast it sells",
  "selling now": "How well it sells now",
  "place in the whole list": "Its place among new and known",
};
const MOST_PARTS = 4;
const HOVER_MILLISECONDS = 150;

export function titleOf(item) {
  return item.title || item.item_id;
}

export function priceOf(item) {
  if (item.price === null) return "";
  const price = item.price.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return item.currency ? `${price} ${item.currency}` : price;
}

/** The photo, or words where there is none or it does not load. */
export function photoOf(item) {
  const none = () => element("span", { class: "nothing", text: `${titleOf(item)} (no photo)` });
  if (!item.photo) return none();
  const image = element("img", { src: address(item.photo), alt: titleOf(item), loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(none()));
  return image;
}

/** A photo to press: it joins the visit, or leaves it. */
export function pick(item, isPicked, press) {
  const button = element(
    "button",
    { type: "button", class: "pick", "aria-pressed": String(isPicked), "data-item": item.item_id },
    element("span", { class: "visually-hidden", text: "Like " }),
    photoOf(item),
  );
  button.addEventListener("click", () => press(item));
  return button;
}

/**
 * @param item a recommended item
 * @param place its place on the page, from 1
 * @param how {picked, press, person, mine}: person() is what `explain` is asked for, or null
 */
export function card(item, place, how) {
  const number = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  const sentence = element("p", { id: `reason-${number}`, text: item.reason });
  const reasons = element("div", { class: "reasons", id: `reasons-${number}`, hidden: true }, sentence);
  const why = element("button", {
    type: "button", class: "quiet why", text: "Why this?", "aria-expanded": "false",
    "aria-controls": reasons.id, "aria-describedby": sentence.id,
  });
  const category = (item.category || "").split(">").pop().trim();
  const seen = item.support ? `${item.support} ${item.support === 1 ? "customer" : "customers"} so far` : "";
  const made = element(
    "li",
    { class: how.mine ? "card mine" : "card", "data-item": item.item_id },
    pick(item, how.picked, how.press),
    element("span", { class: "rank" }, element("span", { class: "visually-hidden", text: "Place " }), String(place)),
    item.is_new ? element("span", { class: "badge", text: "New" }) : null,
    element(
      "div",
      { class: "text" },
      element("h3", { text: titleOf(item), title: titleOf(item) }),
      element("p", { class: "price", text: priceOf(item) }),
      element("p", { class: "muted", text: [category, seen].filter(Boolean).join(" · ") }),
    ),
    reasons,
    why,
  );
  unfold(made, why, reasons, async () => {
    const person = how.person();
    if (person) reasons.append(await parts(item.item_id, person));
  });
  return made;
}

/** Show the reasons while the card is pointed at or focused; a press keeps or closes them. */
function unfold(made, why, reasons, first) {
  let kept = false;
  let asked = false;
  let timer = 0;
  const show = (shown) => {
    clearTimeout(timer);
    reasons.hidden = !shown;
    why.setAttribute("aria-expanded", String(shown));
    if (!shown) kept = false;
    if (shown && !asked) {
      asked = true;
      first().catch((error) => {
        asked = false;
        reasons.append(element("p", { class: "muted", text: error.message }));
      });
    }
  };
  made.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse") timer = setTimeout(show, HOVER_MILLISECONDS, true);
  });
  made.addEventListener("pointerleave", () => {
    clearTimeout(timer);
    if (!kept && !made.contains(document.activeElement)) show(false);
  });
  why.addEventListener("focus", () => show(true));
  made.addEventListener("focusout", (event) => {
    if (!made.contains(event.relatedTarget)) show(false);
  });
  why.addEventListener("click", () => {
    kept = !kept;
    show(kept);
  });
  made.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
  });
}

/** What the score is the sum of, by kind, the strongest first. */
async function parts(itemId, person) {
  const told = await api("explain", { ...person, item_id: itemId });
  const sums = new Map();
  for (const part of told.contributions) sums.set(part.term, (sums.get(part.term) || 0) + part.value);
  const strongest = [...sums].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, MOST_PARTS);
  const most = Math.max(...strongest.map(([, value]) => Math.abs(value)), 1e-9);
  return element(
    "ul",
    { class: "parts", "aria-label": "What its score is made of" },
    ...strongest.map(([term, value]) =>
      element(
        "li",
        {},
        element("span", { text: TERMS[term] || term }),
        element("span", { text: `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}` }),
        bar(value / most),
      ),
    ),
  );
}
