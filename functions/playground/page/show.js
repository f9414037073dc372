import { $, element } from "./document.js";
import { MEANINGS } from "./figures.js";

const CUT_OFF = ["length", "max_output_tokens"];

/** Clears the previous answer. */
export function clearAnswer() {
  $("answer").replaceChildren(document.createTextNode(""));
  $("calls").replaceChildren();
  for (const id of ["failure", "reasoning-row", "headers-row", "figures"]) $(id).hidden = true;
}

/** Moves the page to the answer: on a phone it is far below the form. */
export function scrollToAnswer() {
  const block = matchMedia("(max-width: 860px)").matches ? "start" : "nearest"; // as layout.css
  const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("answer-card").scrollIntoView({ block, behavior: smooth ? "smooth" : "auto" });
}

/** Shows the state of the call. */
export function showState(word, kind = "") {
  if ($("state").textContent === word) return;
  $("state").textContent = word;
  $("state").dataset.kind = kind;
  // A screen reader reads the answer out once it is whole, not word by word.
  $("answer").setAttribute("aria-busy", String(kind === "busy"));
}

/** Shows what has arrived so far. */
export function showAnswer({ text, reasoning, calls }) {
  const shown = $("answer").firstChild;
  if (text.length > shown.length) shown.appendData(text.slice(shown.length));
  $("reasoning").textContent = reasoning;
  $("reasoning-row").hidden = !reasoning;
  $("calls").replaceChildren(...[...calls.values()].map(callCard));
}

function callCard({ name, arguments: given }) {
  const title = element("p", {}, "Calls ", element("code", {}, name || "…"));
  return element("div", { className: "call" }, title, element("pre", {}, pretty(given)));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // not whole yet
  }
}

/** Notes an answer that was cut off or is empty. */
export function showEnding({ text, calls, ending: why }) {
  if (CUT_OFF.includes(why)) note("Truncated: the token limit was reached.");
  else if (!text && !calls.size) note("The answer is empty.");
}

function note(text) {
  $("answer").append(element("p", { className: "empty" }, text));
}

/** Shows names and values as a list of figures. */
export function showFigures(pairs) {
  const cells = pairs.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value)),
  );
  $("figures").replaceChildren(...cells);
  $("figures").hidden = !cells.length;
}

/** Shows every header, the explained ones first. */
export function showHeaders(received) {
  const telling = ([name]) => (name in MEANINGS ? 0 : 1);
  const sorted = [...received].sort((one, other) => telling(one) - telling(other));
  $("headers").replaceChildren(...sorted.map(headerRow));
  $("headers-row").hidden = false;
}

function headerRow([name, value]) {
  const cells = [value, MEANINGS[name] ?? ""].map((text) => element("td", {}, text));
  return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
}

/** Shows an error and what to do about it. */
export function showFailure({ title, message, todo, details = [] }) {
  const lines = [
    element("p", { className: "title" }, title),
    element("p", {}, message),
    ...(todo ? [element("p", {}, todo)] : []),
    ...(details.length ? [element("p", { className: "hint" }, details.join(" · "))] : []),
  ];
  $("failure").replaceChildren(...lines);
  $("failure").hidden = false;
}
