import { $ } from "./document.js";
import { ask } from "./ask.js";
import { emptyAnswer, take } from "./answer.js";
import { PATHS, bodyOf } from "./bodies.js";
import { Mistake, readCall, readKey } from "./form.js";
import { explain } from "./advice.js";
import { figuresOf } from "./figures.js";
import { clearAnswer, scrollToAnswer, showAnswer, showEnding } from "./show.js";
import { showFailure, showFigures, showHeaders, showState } from "./show.js";

let underWay = null;

/** Hangs up on the call under way, if there is one. */
export const stop = () => underWay?.abort();

/** Sends what the form says, and shows the answer as it arrives. */
export async function send() {
  if (underWay) return;
  clearAnswer();
  const call = { answer: emptyAnswer(), times: { start: performance.now() } };
  try {
    const [key, asked] = [readKey(), readCall()];
    underWay = new AbortController();
    buttons();
    showState("Waiting", "busy");
    scrollToAnswer();
    await receive(call, asked, key);
    call.finished = true;
    showEnding(call.answer);
    showState("Done", "good");
  } catch (error) {
    fail(error);
  } finally {
    underWay = null;
    buttons();
    conclude(call);
  }
}

async function receive(call, asked, key) {
  Object.assign(call, { model: asked.model, streamed: asked.stream });
  const request = {
    key,
    body: JSON.stringify(bodyOf(asked)),
    signal: underWay.signal,
    onHead: (headers) => (call.headers = headers),
  };
  let frame = 0;
  for await (const document of ask(PATHS[asked.surface], request)) {
    if (!take(call.answer, document)) continue;
    call.times.first ??= performance.now();
    showState("Answering", "busy");
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      showAnswer(call.answer);
    });
  }
}

function conclude(call) {
  call.times.end = performance.now();
  showAnswer(call.answer);
  if (!call.headers) return;
  showFigures(figuresOf(call));
  showHeaders(call.headers);
}

function fail(error) {
  if (error.name === "AbortError") {
    showState("Stopped");
    return;
  }
  showState("Failed", "bad");
  showFailure(explain(error));
  if (error instanceof Mistake) $(error.field).focus();
}

function buttons() {
  const [sender, stopper] = [$("send"), $("stop")];
  const focused = [sender, stopper].includes(document.activeElement);
  sender.hidden = Boolean(underWay);
  stopper.hidden = !underWay;
  // Which else is lost with the button; but the eyes stay with the answer.
  if (focused) (underWay ? stopper : sender).focus({ preventScroll: true });
}
