// What both pages share: asking the service, its key, and making elements.
// Text from listings is only ever set as text, never as markup.

const ROOT = new URL("..", import.meta.url);
const KEY = "coldstart.key";
const LATER = new Set([502, 503, 504]);

export class Failed extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The address of a path that the service told, such as a photo's. */
export function address(path) {
  return new URL(path, ROOT).href;
}

/** Ask one operation of the service. Throws Failed with a sentence for people. */
export async function api(path, body = {}) {
  const answer = await asked(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...authorization() },
    body: JSON.stringify(body),
  });
  return answer.json();
}

/** A file of the service as a Blob, by the same key. */
export async function file(path) {
  return (await asked(path, { headers: authorization() })).blob();
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

function authorization() {
  const key = sessionStorage.getItem(KEY);
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

async function asked(path, options) {
  let answer;
  try {
    answer = await fetch(address(path), options);
  } catch {
    throw new Failed("The service does not answer. Check the connection and try again.", 0);
  }
  if (answer.ok) return answer;
  if (answer.status === 401 || answer.status === 403) showKeyField();
  throw new Failed(await sentence(answer), answer.status);
}

async function sentence(answer) {
  if (answer.status === 401) {
    return hasKey() ? "The service does not take this key." : "The service asks for a key.";
  }
  if (answer.status === 413) return "This is larger than the service takes.";
  if (answer.status === 429) {
    const wait = Number(answer.headers.get("Retry-After"));
    const when = wait ? `in ${wait} seconds` : "in a moment";
    return `Too much was asked at once. Try again ${when}.`;
  }
  const told = reason(await answer.json().catch(() => null));
  if (told) return told;
  if (LATER.has(answer.status)) return "The service is not ready. Try again in a moment.";
  return `The service answered ${answer.status} without a reason.`;
}

/** The reason in an error's body; Bento answers a list of one for its own exceptions. */
function reason(body) {
  const first = Array.isArray(body) ? body[0] : body;
  return first && typeof first.error === "string" ? first.error : "";
}

let again = () => {};

/** Wire the key field; `then` is called when a key was given or forgotten. */
export function withKey(then) {
  again = then;
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, byId("key").value.trim());
    byId("key").value = "";
    byId("key-asked").hidden = true;
    byId("forget-key").hidden = false;
    again();
  });
  byId("forget-key").hidden = !hasKey();
  byId("forget-key").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    byId("forget-key").hidden = true;
    again();
  });
}

function showKeyField() {
  if (!byId("key-asked").hidden) return;
  byId("key-asked").hidden = false;
  byId("key").focus();
}

export function byId(id) {
  return document.getElementById(id);
}

/** An element with properties (class, text, data and aria by name) and children. */
export function element(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") made.className = value;
    else if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A sentence in a live region. */
export function say(region, text, isError = false) {
  region.textContent = text;
  region.classList.toggle("error", isError);
}

/** A bar of a share from -1 to 1. */
export function bar(share) {
  const filled = element("span", { class: share < 0 ? "less" : null });
  filled.style.width = `${Math.round(Math.min(1, Math.abs(share)) * 100)}%`;
  return element("div", { class: "bar", "aria-hidden": "true" }, filled);
}

/** An id that nobody else gives. */
export function freshId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${prefix}-${hex}`;
}
