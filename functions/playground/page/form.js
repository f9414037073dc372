import { $, chosen } from "./document.js";

/** Something in the form has to be mended before it can be sent. */
export class Mistake extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** The tools that the example button fills in. */
export const EXAMPLE_TOOLS = [
  {
    name: "get_weather",
    description: "Tells the weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "Name of the city" } },
      required: ["city"],
    },
  },
];

/** The key that was given. */
export function readKey() {
  const key = $("key").value.trim();
  if (!key) throw new Mistake("key", "There is no client key yet. Paste one in.");
  if (/^["'`“”‘’]|["'`“”‘’]$/.test(key))
    throw new Mistake("key", "The client key is in quotation marks. Leave them out.");
  if (/[^\x21-\x7e]/.test(key))
    throw new Mistake("key", "The client key contains a space or another invalid character.");
  return key;
}

/** What the form asks for. */
export function readCall() {
  const format = $("format").value;
  return {
    surface: chosen("surface"),
    model: need($("model").value === "other" ? "other-model" : "model", "Choose a model."),
    prompt: need("prompt", "Write a message."),
    system: $("system").value.trim(),
    stream: $("stream").checked,
    temperature: number("temperature", "The temperature is a number from 0 to 2."),
    maxTokens: number("max-tokens", "Max tokens is a whole number from 1."),
    image: readImage(),
    functions: readFunctions(),
    format,
    schema: format === "json_schema" ? readJson("schema", "The JSON Schema") : undefined,
  };
}

function need(field, message) {
  const value = $(field).value.trim();
  if (!value) throw new Mistake(field, message);
  return value;
}

function number(field, message) {
  const input = $(field);
  if (!input.validity.valid && !input.validity.stepMismatch) throw new Mistake(field, message);
  if (input.validity.stepMismatch && input.step === "1") throw new Mistake(field, message);
  return input.value === "" ? undefined : Number(input.value);
}

function readImage() {
  const url = $("image-url").value.trim();
  if (url && !/^https?:\/\/[^/]/.test(url))
    throw new Mistake("image-url", "The image's address starts with https://.");
  return $("image-preview").dataset.url || url || undefined;
}

function readFunctions() {
  if (!$("tools").value.trim()) return undefined;
  const given = [readJson("tools", "The tools")].flat();
  return given.map((tool, index) => {
    const { type, function: inner, ...flat } = tool ?? {};
    const found = inner ?? flat; // as chat completions nest them, or as Responses do not
    if (typeof found.name !== "string" || !found.name)
      throw new Mistake("tools", `Tool ${index + 1} has no "name".`);
    return found;
  });
}

function readJson(field, what) {
  try {
    return JSON.parse($(field).value);
  } catch (error) {
    throw new Mistake(field, `${what} must be JSON: ${error.message}.`);
  }
}
