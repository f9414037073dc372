import { $, element } from "./document.js";
import { ask } from "./ask.js";
import { vectors } from "./vectors.js";

const listed = new Map();

/** Fills the list of models with those that a key may see; returns how many there are. */
export async function listModels(key, signal) {
  for await (const { data } of ask("/models", { key, signal })) {
    listed.clear();
    data.forEach((model) => listed.set(model.id, model));
  }
  offer([...listed.values()].map(optionOf));
  return listed.size;
}

/** Offers the model of the test vectors, until there is a list. */
export function suggestModel() {
  const { model } = JSON.parse(vectors[0].body);
  offer([element("option", { value: model }, model)]);
}

function offer(options) {
  const select = $("model");
  const before = select.value;
  select.replaceChildren(...options, element("option", { value: "other" }, "Another id …"));
  if ([...select.options].some(({ value }) => value === before)) select.value = before;
  showFacts();
}

/** Says what is listed of the chosen model, or asks for the id of another. */
export function showFacts() {
  const value = $("model").value;
  $("other-model-row").hidden = value !== "other";
  $("model-facts").textContent = factsOf(listed.get(value));
}

/** The price in US dollars of some usage of a model, if it is listed. */
export function priceOf(model, { tokensIn, tokensOut }) {
  const { prompt, completion } = listed.get(model)?.pricing ?? {};
  return Number(prompt) * tokensIn + Number(completion) * tokensOut;
}

function optionOf(model) {
  const locked = model.access?.locked ? " (locked)" : "";
  return element("option", { value: model.id }, model.id + locked);
}

function factsOf(model) {
  if (!model) return "";
  const { context_length: context, pricing, input_modalities: inputs } = model;
  const facts = [
    context && `${context.toLocaleString("en")} tokens of context`,
    pricing?.prompt && `$${perMillion(pricing.prompt)} in, $${perMillion(pricing.completion)} out per million tokens`,
    inputs?.includes("image") && "sees images",
  ];
  return facts.filter(Boolean).join(" · ");
}

const perMillion = (price) => (Number(price) * 1e6).toFixed(2);
