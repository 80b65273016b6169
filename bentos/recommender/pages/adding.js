// A listing that is added, and what its first customers do to its place.

import { api, byId, element, freshId, say } from "./api.js";
import { photoOf } from "./cards.js";

const MOST_BYTES = 10_000_000;

let followed = null;
let before = null;

/**
 * Wire the form and the clicks.
 *
 * @param shop {person, name, others, refresh}: person() is who is shopping as the service takes it,
 *   name() the same in words, others() ids of customers, refresh(itemId) recommends again.
 */
export function wireAdding(shop) {
  byId("photo").addEventListener("change", () => preview(chosen()));
  byId("add").addEventListener("submit", (event) => {
    event.preventDefault();
    add(shop);
  });
  byId("click").addEventListener("submit", (event) => {
    event.preventDefault();
    click(shop);
  });
}

/** The listing that is followed as `recommend` would tell it, with its place; or null. */
export function followedItem() {
  return followed && before ? { ...followed, place: before.place, support: before.support } : null;
}

/** Look again where the followed listing stands, as for another person. */
export async function placeAgain(shop) {
  if (!followed) return;
  try {
    before = await placed(shop);
  } catch (error) {
    say(byId("moved"), error.message, true);
  }
}

function chosen() {
  return byId("photo").files[0] || null;
}

async function preview(photo) {
  const canvas = byId("preview");
  canvas.hidden = true;
  say(byId("added"), "");
  if (!photo) return;
  if (photo.size > MOST_BYTES) {
    say(byId("added"), `The photo has ${(photo.size / 1e6).toFixed(1)} MB; 10 MB are the most.`, true);
    return;
  }
  try {
    const image = await createImageBitmap(photo);
    const scale = Math.min(1, 800 / Math.max(image.width, image.height));
    canvas.width = Math.round(image.width * scale);
    canvas.height = Math.round(image.height * scale);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.hidden = false;
  } catch {
    say(byId("added"), "The browser cannot read this file as a photo.", true);
  }
}

async function add(shop) {
  const photo = chosen();
  if (photo && photo.size > MOST_BYTES) return preview(photo);
  const listing = {
    item_id: freshId("new"),
    title: byId("title").value.trim(),
    category: byId("category").value.trim() || null,
    price: Number(byId("cost").value),
    currency: byId("currency").value.trim().toUpperCase() || null,
    description: byId("description").value.trim() || null,
  };
  byId("told").replaceChildren();
  byId("send").disabled = true;
  say(byId("added"), "Checking the listing and reading its photo …");
  try {
    if (photo) listing.photo_base64 = await base64(photo);
    const answer = await api("listings", { listings: [listing] });
    tell("reasons-held", "", answer.quarantined);
    tell("reasons-warned", "Something is to be mended:", answer.warnings);
    if (!answer.accepted.includes(listing.item_id)) {
      say(byId("added"), "The listing was not taken:", true);
      return;
    }
    byId("add").reset();
    byId("preview").hidden = true;
    shop.filled();
    say(byId("added"), `“${listing.title}” can be recommended now.`);
    await follow(listing, shop);
  } catch (error) {
    say(byId("added"), error.message, true);
  } finally {
    byId("send").disabled = false;
  }
}

function tell(name, heading, rows) {
  if (!rows.length) return;
  const reasons = rows.flatMap((row) => row.reasons);
  byId("told").append(
    heading ? element("p", { text: heading }) : "",
    element("ul", { class: name }, ...reasons.map((reason) => element("li", { text: reason }))),
  );
}

function base64(photo) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The browser cannot read the photo's file."));
    reader.readAsDataURL(photo);
  });
}

async function follow(listing, shop) {
  followed = { ...listing, is_new: true, photo: `photos/${encodeURIComponent(listing.item_id)}` };
  before = null;
  byId("nothing-yet").hidden = true;
  byId("followed").hidden = false;
  byId("moves").replaceChildren();
  byId("moves-region").hidden = true;
  byId("follow-title").textContent = listing.title;
  byId("follow-photo").replaceChildren(element("div", { class: "pick" }, photoOf(followed)));
  byId("other").value = next(shop.others(), null);
  before = await placed(shop);
  say(byId("moved"), sentenceOf(before, shop));
  await shop.refresh();
}

async function placed(shop) {
  const who = { ...shop.person(), item_id: followed.item_id };
  const found = await api("place", who);
  followed.reason = found.personal ? (await api("explain", who)).sentence : "Expected to sell.";
  byId("place").textContent = String(found.place);
  const customers = found.support ? `, after ${found.support} ${found.support === 1 ? "customer" : "customers"}` : "";
  byId("among").textContent = `of ${found.among} new listings for ${shop.name()}${customers}`;
  return found;
}

function sentenceOf(found, shop) {
  if (found.personal) return "";
  return `Of ${shop.name()} nothing is known, so first customers change little. Choose a customer or click some photos.`;
}

async function click(shop) {
  const user = byId("other").value.trim();
  byId("clicks").disabled = true;
  say(byId("moved"), `${user} clicks …`);
  try {
    const event = { event_id: freshId("page"), user_id: user, item_id: followed.item_id, event_type: "click" };
    const taken = await api("events", { events: [event] });
    if (!taken.accepted.length) {
      const reasons = taken.quarantined.flatMap((row) => row.reasons);
      say(byId("moved"), `The click was not taken: ${reasons.join("; ") || "it is known already"}.`, true);
      return;
    }
    const earlier = before;
    before = await placed(shop);
    const change = earlier.place - before.place;
    const words = change > 0 ? `up by ${change}` : change < 0 ? `down by ${-change}` : "stays";
    byId("moves-region").hidden = false;
    byId("moves").append(
      element(
        "tr",
        {},
        element("th", { scope: "row", text: user }),
        element("td", { class: "number", text: String(earlier.place) }),
        element("td", { class: "number", text: String(before.place) }),
        element("td", {}, element("span", { class: change > 0 ? "up" : change < 0 ? "down" : "muted", text: words })),
      ),
    );
    say(byId("moved"), `Place ${earlier.place} before, ${before.place} after the click of ${user}. ${sentenceOf(before, shop)}`);
    byId("other").value = next(shop.others(), user);
    await shop.refresh();
  } catch (error) {
    say(byId("moved"), error.message, true);
  } finally {
    byId("clicks").disabled = false;
  }
}

/** The customer after this one. */
function next(users, user) {
  return users.length ? users[(users.indexOf(user) + 1) % users.length] : "";
}
