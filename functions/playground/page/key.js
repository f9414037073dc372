import { $ } from "./document.js";
import { explain } from "./advice.js";
import { Mistake, readKey } from "./form.js";
import { listModels } from "./models.js";

const STORED = "llm-relay client key"; // in sessionStorage: for this tab, until it is closed
const LOOPBACK = ["127.0.0.1", "localhost"];
const KEPT = "Kept in this tab only";
let listing = null;
let localKey = "";

/** Takes back the key that this tab had before it was reloaded, or that of the local stack. */
export async function recallKey() {
  $("key").value = sessionStorage.getItem(STORED) ?? "";
  if (!$("key").value) localKey = await readLocalKey();
  $("key").value ||= localKey; // unless one was typed meanwhile
  return tryKey();
}

/** The client key of `make run`, which only this machine may read; elsewhere there is none. */
async function readLocalKey() {
  if (!LOOPBACK.includes(location.hostname)) return "";
  try {
    return (await (await fetch("/_local/client-key")).json()).client_key ?? "";
  } catch {
    return "";
  }
}

/** Keeps the key that was given for this tab, and lists the models that it may see. */
export async function tryKey() {
  const given = $("key").value.trim();
  sessionStorage.setItem(STORED, given);
  $("first-visit").hidden = Boolean(given);
  listing?.abort();
  listing = new AbortController();
  const { signal } = listing;
  say(given ? "Loading models …" : `${KEPT}; deleted when you close it.`);
  if (!given) return;
  try {
    const count = await listModels(readKey(), signal);
    say(`Accepted, ${count} models. ${given === localKey ? "Filled in by make run" : KEPT}.`, "good");
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
