import { priceOf } from "./models.js";

/** Figures of a call, as pairs of name and value. */
export function figuresOf({ answer, model, streamed, finished, headers, times }) {
  const tokensOut = answer.usage?.tokensOut;
  const first = times.first ?? times.end;
  const writing = (times.end - (streamed ? first : times.start)) / 1000;
  const get = (name) => headers.get(name);
  return [
    ["First token", times.first && milliseconds(times.first - times.start)],
    [finished ? "Total time" : "Time", milliseconds(times.end - times.start)],
    ["Speed", tokensOut && writing > 0.05 && `${Math.round(tokensOut / writing)} tokens/s`],
    ["Tokens", tokensOut != null && `${answer.usage.tokensIn} in · ${tokensOut} out`],
    ["Cost", cost(answer, model, get("x-relay-cost-usd"))],
    ["Attempts", get("x-relay-attempts")],
    ["Relay overhead", get("x-relay-overhead-ms") && `${get("x-relay-overhead-ms")} ms`],
    ["Requests left", left(get)],
  ].filter(([, value]) => value);
}

function milliseconds(time) {
  return time < 1000 ? `${Math.round(time)} ms` : `${(time / 1000).toFixed(2)} s`;
}

function cost(answer, model, reported) {
  const known = reported ?? answer.costUsd;
  if (known != null) return dollars(Number(known));
  const listed = answer.usage ? priceOf(model, answer.usage) : NaN;
  return Number.isFinite(listed) && `≈ ${dollars(listed)}`;
}

const dollars = (amount) => `$${amount < 0.01 ? amount.toFixed(6) : amount.toFixed(4)}`;

function left(get) {
  const [remaining, limit] = ["remaining", "limit"].map((word) => get(`x-ratelimit-${word}-requests`));
  return remaining && (limit ? `${remaining} of ${limit}` : remaining);
}

/** Explanations of headers. */
export const MEANINGS = {
  "x-request-id": "Finds the call in the endpoint's log",
  "x-upstream-request-id": "The provider's request id",
  "x-relay-attempts": "Requests sent to the provider",
  "x-relay-overhead-ms": "Time that the relay added before the first byte",
  "x-relay-cost-usd": "Cost of the call",
  "x-relay-dropped": "Fields removed because the provider does not support them",
  "x-relay-replayed": "Replayed answer; the provider was not called",
  "retry-after": "Seconds to wait",
  "x-ratelimit-limit-requests": "The provider's request limit",
  "x-ratelimit-remaining-requests": "Requests left",
  "x-ratelimit-reset-requests": "When the limit resets",
  "x-ratelimit-limit-tokens": "The provider's token limit",
  "x-ratelimit-remaining-tokens": "Tokens left",
  "x-ratelimit-reset-tokens": "When the limit resets",
};
