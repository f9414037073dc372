import { BASE_URL } from "./document.js";
import { Interrupted, NoAnswer, ApiError } from "./ask.js";
import { Mistake } from "./form.js";

/** Explains an error: a title, the endpoint's message and what to do. */
export function explain(error) {
  if (error instanceof Mistake) return { title: "Not sent", message: error.message };
  if (error instanceof ApiError) return refused(error);
  if (error instanceof NoAnswer) return { title: "No answer", message: error.message, todo: UNREACHED };
  if (error instanceof Interrupted) return { title: "Interrupted", message: error.message, todo: HALF };
  return { title: "This page failed", message: String(error) };
}

const UNREACHED =
  "Is the endpoint still running (make run), and is this machine online? Then send again.";
const HALF =
  "The provider may charge for what arrived, so the request is not retried automatically. Send it again for a complete answer.";

function refused(error) {
  const id = error.headers.get("x-request-id");
  const status = error.status === 200 ? "Error during the stream" : error.status;
  return {
    title: [status, error.code].filter(Boolean).join(" · "),
    message: error.message,
    todo: advice(error),
    details: [error.param && `Field: ${error.param}`, id && `Request id: ${id}`].filter(Boolean),
  };
}

// The endpoint's messages suggest fixes; this adds what only the page knows.
function advice({ status, code, headers }) {
  if (status === 200) return HALF;
  const seconds = headers.get("retry-after");
  if (code === "invalid_api_key") return "Paste the complete key above. The hints there say where to find one.";
  if (code === "unknown_route") return `This page asked ${BASE_URL}: is it served by the endpoint itself?`;
  if (status === 429 && seconds) return `Send again in ${seconds} s.`;
  return "";
}
