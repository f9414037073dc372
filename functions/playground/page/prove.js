import { $, element } from "./document.js";
import { ask } from "./ask.js";
import { emptyAnswer, take } from "./answer.js";
import { explain } from "./advice.js";
import { vectors } from "./vectors.js";

/** Shows the number of test vectors. */
export function announceVectors() {
  $("vectors-state").textContent =
    `${vectors.length} requests with known answers, as the provider's guides have them, sent through this endpoint.`;
}

/** Sends every vector to both endpoints in parallel, and shows each result. */
export async function prove(key) {
  const rows = new Map(vectors.map((vector) => [vector, element("li", {}, ...waiting(vector))]));
  $("vectors").replaceChildren(...rows.values());
  const results = [];
  const show = (result) => {
    results.push(result);
    rows.get(result.vector).replaceChildren(...resultLine(result));
    $("vectors-state").textContent = summary(results);
  };
  const lanes = ["chat", "responses"].map(async (surface) => {
    for (const vector of vectors.filter((each) => each.surface === surface))
      show(await outcome(vector, key));
  });
  await Promise.all(lanes);
}

async function outcome(vector, key) {
  const started = performance.now();
  const failure = await complaint(vector, key);
  return { vector, failure, took: Math.round(performance.now() - started) };
}

async function complaint(vector, key) {
  const answer = emptyAnswer();
  try {
    const path = vector.path.replace("/v1", "");
    for await (const document of ask(path, { key, body: vector.body })) take(answer, document);
  } catch (error) {
    return explain(error);
  }
  if (answer.text.includes(vector.contains)) return null;
  const message = `Wanted “${vector.contains}”, got “${answer.text.slice(0, 200)}”.`;
  return { title: "Another answer", message, todo: "Run it again: model answers vary." };
}

const waiting = ({ name }) => [element("span", { className: "wait" }, "…"), element("code", {}, name)];

function resultLine({ vector, failure, took }) {
  const word = failure ? "FAIL" : "PASS";
  const line = [
    element("span", { className: word.toLowerCase() }, word),
    element("code", {}, vector.name),
    element("span", { className: "took" }, `${took} ms`),
  ];
  return failure ? [...line, element("p", {}, reason(failure))] : line;
}

const reason = ({ title, message, todo }) => [`${title}:`, message, todo].filter(Boolean).join(" ");

function summary(results) {
  const failed = results.filter(({ failure }) => failure).length;
  const open = vectors.length - results.length;
  const parts = [`${results.length - failed} passed`, failed && `${failed} failed`, open && `${open} to go`];
  return parts.filter(Boolean).join(" · ");
}
