import { BASE_URL } from "./document.js";
import { events } from "./sse.js";

/** The endpoint returned an error: as a status, or in the middle of a stream. */
export class ApiError extends Error {
  constructor(status, error, headers) {
    super(error.message ?? "The endpoint gave no reason.");
    Object.assign(this, { status, code: error.code, param: error.param, headers });
  }
}

/** The endpoint cannot be reached. */
export class NoAnswer extends Error {}

/** The answer ended before its end. */
export class Interrupted extends Error {}

/** Calls the endpoint; yields each JSON document of the answer (one if it is not streamed). */
export async function* ask(path, { key, body, signal, onHead = () => {} }) {
  const response = await reach(path, { key, body, signal });
  onHead(response.headers, response.status);
  if (!response.ok) throw await refusal(response);
  const streamed = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
  try {
    if (!streamed) yield await response.json();
    else yield* documents(response);
  } catch (error) {
    if (error instanceof TypeError) throw new Interrupted("The connection was interrupted.");
    if (error instanceof SyntaxError) throw new Interrupted("The answer is not JSON.");
    throw error;
  }
}

async function reach(path, { key, body, signal }) {
  const headers = { authorization: `Bearer ${key}` };
  if (body) headers["content-type"] = "application/json";
  try {
    return await fetch(BASE_URL + path, { method: body ? "POST" : "GET", headers, body, signal });
  } catch (error) {
    if (error instanceof TypeError) throw new NoAnswer(`No answer from ${BASE_URL}.`);
    throw error;
  }
}

async function refusal(response) {
  const text = await response.text();
  let error;
  try {
    error = JSON.parse(text).error;
  } catch {
    error = { message: text.slice(0, 300) };
  }
  return new ApiError(response.status, error ?? {}, response.headers);
}

async function* documents(response) {
  let ended = false;
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const document = JSON.parse(data);
    const error = failureIn(document);
    if (error) throw new ApiError(response.status, error, response.headers);
    yield document;
    ended = ["response.completed", "response.incomplete"].includes(document.type);
  }
  if (!ended) throw new Interrupted("The stream ended early.");
}

function failureIn(document) {
  if (document.type === "response.failed") return document.response.error ?? {};
  return document.type === "error" ? document : document.error;
}
