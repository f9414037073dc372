import { $ } from "./document.js";
import { explain } from "./advice.js";
import { Mistake, readKey } from "./form.js";
import { listModels } from "./models.js";

const STORED = "llm-relay client key"; // in sessionStorage: for this tab, until it is closed
let listing = null;

/** Takes back the key that this tab had before it was reloaded. */
export function recallKey() {
  $("key").value = sessionStorage.getItem(STORED) ?? "";
  return tryKey();
}

/** Keeps the key that was given for this tab, and lists the models that it may see. */
export async function tryKey() {
  const given = $("key").value.trim();
  sessionStorage.setItem(STORED, given);
  $("first-visit").hidden = Boolean(given);
  listing?.abort();
  listing = new AbortController();
  const { signal } = listing;
  say(given ? "Asking for the models …" : "Kept in this tab only; deleted when you close it.");
  if (!given) return;
  try {
    const count = await listModels(readKey(), signal);
    say(`Accepted, ${count} models. Kept in this tab only.`, "good");
  } catch (error) {
    if (!signal.aborted) complain(error);
  }
}

function complain(error) {
  const { title, message } = explain(error);
  say(error instanceof Mistake ? message : `${title}: ${message}`, "bad");
  $("first-visit").hidden = error.status !== 401;
}

function say(text, kind = "") {
  $("key-state").textContent = text;
  $("key-state").dataset.kind = kind;
  $("key").setAttribute("aria-invalid", String(kind === "bad"));
}

/** Shows the key in plain text, or hides it again. */
export function toggleKey() {
  const hidden = $("key").type === "password";
  $("key").type = hidden ? "text" : "password";
  $("show-key").textContent = hidden ? "Hide" : "Show";
  $("show-key").setAttribute("aria-pressed", String(hidden));
}
