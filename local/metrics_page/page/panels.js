// What is drawn of which metrics. A panel without figures is not shown; every metric, known
// here or not, is in the table at the end.

/** Sums of each step: the first series', and in front of it those that are a part of it. */
const parts = (title, note, ...series) => ({ kind: "bars", title, note, series });
/** Sums of each step, one upon the other. */
const stack = (title, note, ...series) => ({ kind: "bars", title, note, series, stacked: true });
/** Percentiles of each step. */
const percentiles = (title, note, name) => ({ kind: "percentiles", title, note, series: [{ name }] });
/** The whole run, split by a dimension. */
const split = (title, note, name, by) => ({ kind: "split", title, note, series: [{ name }], by });

const of = (name, color, label) => ({ name, color, label });

export const PANELS = [
  parts("Requests", "in each 10 seconds",
    of("Requests", "a", "requests"), of("Failures", "d", "of them failed")),
  stack("Failures", "in each 10 seconds, by whose fault they are",
    of("ClientErrors", "c", "the caller's"), of("ProviderErrors", "b", "the provider's"),
    of("RelayErrors", "d", "our own")),
  percentiles("Time to the whole answer", "less is better", "TotalTime"),
  percentiles("Time to the first byte", "less is better", "TimeToFirstByte"),
  percentiles("Relay overhead before the first byte", "less is better", "OverheadTime"),
  parts("Attempts at the provider", "in each 10 seconds; more than one for a request if it was asked again",
    of("Attempts", "a", "attempts"), of("RateLimited", "d", "answered with 429")),
  stack("Tokens", "in each 10 seconds, as the provider counts them",
    of("TokensIn", "b", "in"), of("TokensOut", "a", "out")),
  split("Cost by model", "since the start, by the provider's word or its listed price", "CostUsd", "model"),
  stack("Budgets", "calls in each 10 seconds that a budget was asked for",
    of("BudgetReservations", "a", "reserved"), of("BudgetRefused", "d", "refused")),
  stack("Batch rows", "in each 10 seconds, as workers report them",
    of("RowsCompleted", "a", "completed"), of("RowsFailed", "d", "failed")),
];

export const TILES = [
  ["Requests", "Requests", "sum"],
  ["Failures", "Failures", "sum"],
  ["95 of 100 within", "TotalTime", "p95"],
  ["Our share, median", "OverheadTime", "p50"],
  ["Tokens out", "TokensOut", "sum"],
  ["Cost", "CostUsd", "sum"],
];
