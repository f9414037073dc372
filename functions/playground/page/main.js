import { $, BASE_URL, chosen, copy } from "./document.js";
import { explain } from "./advice.js";
import { EXAMPLE_TOOLS, readCall, readKey } from "./form.js";
import { readFile } from "./image.js";
import { recallKey, toggleKey, tryKey } from "./key.js";
import { showFacts, suggestModel } from "./models.js";
import { announceVectors, prove } from "./prove.js";
import { send, stop } from "./send.js";
import { abridged, snippet } from "./snippets.js";
import { showFailure, showState } from "./show.js";

const TYPING_MILLISECONDS = 400;
const hasKeyboard = !matchMedia("(pointer: coarse)").matches;
let typing = 0;

function code() {
  try {
    return snippet(chosen("language"), readCall());
  } catch (error) {
    return explain(error).message;
  }
}

function showCode() {
  $("code").textContent = abridged(code());
}

function submit(event) {
  event.preventDefault();
  send();
}

function pressed(event) {
  if (event.key !== "Enter" || event.isComposing) return;
  const inPrompt = event.target.id === "prompt" && hasKeyboard && !event.shiftKey;
  if (!inPrompt && !event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  $("form").requestSubmit();
}

async function changed(event) {
  if (event.target.id === "image-file") await readFile();
  $("schema-row").hidden = $("format").value !== "json_schema";
  showFacts();
  showCode();
}

function fillInTools() {
  $("tools").value = JSON.stringify(EXAMPLE_TOOLS, null, 2);
  showCode();
}

async function runVectors() {
  $("run-vectors").disabled = true;
  try {
    await prove(readKey());
  } catch (error) {
    showState("Failed", "bad");
    showFailure(explain(error));
    $("key").focus();
  }
  $("run-vectors").disabled = false;
}

$("base-url").textContent = BASE_URL;
$("form").addEventListener("submit", submit);
$("form").addEventListener("keydown", pressed);
$("form").addEventListener("input", changed);
$("key").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(tryKey, TYPING_MILLISECONDS);
});
$("key").addEventListener("change", () => {
  clearTimeout(typing);
  tryKey();
});
$("show-key").addEventListener("click", toggleKey);
$("stop").addEventListener("click", stop);
$("tools-example").addEventListener("click", fillInTools);
$("run-vectors").addEventListener("click", runVectors);
$("copy-code").addEventListener("click", ({ target }) => copy(code(), target));
$("copy-base-url").addEventListener("click", ({ target }) => copy(BASE_URL, target));
for (const radio of document.querySelectorAll('input[name="language"]'))
  radio.addEventListener("change", showCode);

suggestModel();
announceVectors();
showCode();
recallKey().then(showCode);
