// The operations page: one answer of the service, told in tables.

import { address, api, bar, byId, element, file, hasKey, say, withKey } from "./api.js";

const VERDICTS = { pass: ["good", "passed"], warn: ["warn", "warned"], quarantined: ["bad", "held back"] };
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

const number = (value) => value.toLocaleString();
const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(part && part < whole / 100 ? 2 : 0)} %` : "–");

/** A moment as people say it, with its age; the exact time for machines. */
function moment(text) {
  if (!text) return document.createTextNode("–");
  const when = new Date(text);
  const told = when.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return element("time", { datetime: text, text: told, title: age(when) });
}

function age(when) {
  const seconds = (Date.now() - when) / 1000;
  const [unit, length] = UNITS.find(([, one]) => seconds >= one) || ["second", 1];
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(-Math.round(seconds / length), unit);
}

function pill(kind, text) {
  return element("span", { class: `pill ${kind}`, text });
}

/** A row: the first cell is its heading; numbers stand right. */
function row(...cells) {
  return element(
    "tr",
    {},
    ...cells.map((cell, place) => {
      const isNumber = typeof cell === "number";
      const content = isNumber ? number(cell) : cell;
      const given = { class: isNumber || (cell && cell.right) ? "number" : null };
      const made = place ? element("td", given) : element("th", { scope: "row", ...given });
      made.append(content && content.right !== undefined ? content.right : content);
      return made;
    }),
  );
}

function share(part, whole) {
  return element("div", {}, element("span", { text: percent(part, whole) }), bar(whole ? part / whole : 0));
}

function fill(id, rows, columns, nothing) {
  const none = element("tr", {}, element("td", { colspan: columns, class: "muted", text: nothing }));
  byId(id).replaceChildren(...(rows.length ? rows : [none]));
}

function tile(name, value, about) {
  return element("div", {}, element("dt", { text: name }), element("dd", { text: value }, element("small", { text: about })));
}

function tellTiles({ cold, gate, features, answering }) {
  const stale = features.views.filter((view) => view.stale).length;
  const places = answering.recommended_new + answering.recommended_known;
  const fallbacks = Object.values(answering.fallbacks).reduce((sum, one) => sum + one, 0);
  byId("tiles").replaceChildren(
    tile("Listings", number(cold.listings), "ranked now"),
    tile("New", percent(cold.new, cold.listings), `${number(cold.new)} hardly anybody chose`),
    tile("Never seen", percent(cold.unseen, cold.listings), `${number(cold.unseen)} without any event`),
    tile("In quarantine", number(gate.held), gate.held === 1 ? "row waits to be mended" : "rows wait to be mended"),
    tile("Stale features", number(stale), `of ${features.views.length} views`),
    tile("Places given to new", percent(answering.recommended_new, places), `of ${number(places)} since the start`),
    tile("Not personal", number(fallbacks), "answers since the start"),
  );
  byId("tiles").removeAttribute("aria-busy");
}

function tellGate({ runs, held_by_check, reports }) {
  fill(
    "runs",
    runs.map((run) => {
      const [kind, text] = VERDICTS[run.verdict] || ["", run.verdict];
      const from = [run.source, run.step].filter(Boolean).join(", ");
      const checks = Object.entries(run.checks).map(([check, rows]) => `${check} ${number(rows)}`);
      return row(moment(run.checked_at), `${run.table} (${from})`, pill(kind, text), run.received, run.accepted, run.quarantined, run.warnings, checks.join(", ") || "–");
    }),
    8,
    "The gate has seen nothing yet.",
  );
  fill("held", held_by_check.map((one) => row(one.check, one.table, one.source, one.rows)), 4, "Nothing is held back.");
  const links = reports.map((report) =>
    element("li", {}, element("a", { href: address(report.path), text: `${report.name}`, onclick: (event) => save(event, report) }), ` ${report.about}, `, moment(report.written_at)),
  );
  byId("reports").replaceChildren(...(links.length ? links : [element("li", { class: "muted", text: "None is kept." })]));
}

/** A link carries no key: with one, the report is fetched and saved. */
async function save(event, report) {
  if (!hasKey()) return;
  event.preventDefault();
  try {
    const link = element("a", { href: URL.createObjectURL(await file(report.path)), download: report.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  } catch (error) {
    say(byId("note"), error.message, true);
  }
}

function tellFeatures({ views, do_next }) {
  byId("do-next").hidden = do_next.length === 0;
  byId("do-next").replaceChildren(...do_next.map((text) => element("li", {}, ...coded(text))));
  fill(
    "views",
    views.map((view) =>
      row(
        view.view,
        !view.rows ? pill("", "empty") : view.stale ? pill("warn", "behind") : pill("good", "fresh"),
        view.rows,
        moment(view.newest),
        moment(view.materialized_to),
        view.made_by,
        moment(view.made_at),
      ),
    ),
    7,
    "No view is registered.",
  );
}

/** Words, and commands between backticks as code. */
function coded(text) {
  return text.split("`").map((part, place) => (place % 2 ? element("code", { text: part }) : part));
}

function people({ least, most }) {
  if (most === null) return `${least} people and more`;
  if (least === 0 && most === 0) return "nobody";
  return `${least} to ${most} people`;
}

function tellCold(cold) {
  const seen = cold.groups.reduce((sum, one) => sum + one.impressions, 0);
  byId("cold-note").textContent =
    `${number(cold.new)} of ${number(cold.listings)} listings are recommended as new; ` +
    `${number(cold.learned)} of them have learned from first customers. People and impressions are as the last aggregate counted them.`;
  fill(
    "groups",
    cold.groups.map((one) => row(people(one), one.listings, share(one.listings, cold.listings), one.impressions, share(one.impressions, seen))),
    5,
    "There are no listings.",
  );
}

function tellExperiment(experiment, policy) {
  byId("variants-region").hidden = experiment === null;
  byId("experiment-note").textContent = experiment
    ? `“${experiment.name}” takes ${percent(experiment.share, 1)} of the people.`
    : `None is running. ${policy ? `Exploration: ${policy}.` : "Nothing is explored."}`;
  fill(
    "variants",
    (experiment ? experiment.variants : []).map((one) =>
      row(one.name, { right: percent(one.share, 1) }, one.people, one.pages, one.model, one.policy || "off", { right: one.personal === null ? "as learned" : String(one.personal) }),
    ),
    7,
    "No variant.",
  );
}

function tellAnswers(answering) {
  byId("answers-caption").replaceChildren("Since the service started, ", moment(answering.started_at));
  const fallbacks = Object.entries(answering.fallbacks).map(([reason, count]) => row(`not personal: ${reason}`, count));
  fill(
    "answers",
    [
      row("places given to new listings", answering.recommended_new),
      row("places given to known listings", answering.recommended_known),
      ...(fallbacks.length ? fallbacks : [row("not personal", 0)]),
      row("failed looks for other processes' events", answering.follow_failures),
    ],
    2,
    "",
  );
}

async function read() {
  byId("refresh").disabled = true;
  say(byId("note"), "Reading …");
  try {
    const state = await api("operations");
    tellTiles(state);
    tellGate(state.gate);
    tellFeatures(state.features);
    tellCold(state.cold);
    tellExperiment(state.experiment, state.policy);
    tellAnswers(state.answering);
    byId("model").replaceChildren(`Model ${state.model}, trained `, moment(state.trained_at), `; snapshot ${state.snapshot}.`,
      state.refused_model ? ` ${state.refused_model} was to be served and is refused: ${state.refused_because}` : "");
    byId("sections").hidden = false;
    say(byId("note"), `Read at ${new Date(state.read_at).toLocaleTimeString()}.`);
  } catch (error) {
    say(byId("note"), error.message, true);
  } finally {
    byId("refresh").disabled = false;
  }
}

byId("refresh").addEventListener("click", read);
withKey(read);
read();
