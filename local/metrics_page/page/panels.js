// The charts and their metrics. A chart without data is not shown; the table at the end has
// every metric.

/** Sums per step: the first series, and in front of it the series that are parts of it. */
const parts = (title, note, ...series) => ({ kind: "bars", title, note, series });
/** Sums per step, stacked. */
const stack = (title, note, ...series) => ({ kind: "bars", title, note, series, stacked: true });
/** Percentiles per step. */
const percentiles = (title, note, name) => ({ kind: "percentiles", title, note, series: [{ name }] });
/** The whole run, split by a dimension. */
const split = (title, note, name, by) => ({ kind: "split", title, note, series: [{ name }], by });

const of = (name, color, label) => ({ name, color, label });

export const PANELS = [
  parts("Requests", "per 10 seconds",
    of("Requests", "a", "requests"), of("Failures", "d", "failed")),
  stack("Failures", "per 10 seconds, by cause",
    of("ClientErrors", "c", "caller"), of("ProviderErrors", "b", "provider"),
    of("RelayErrors", "d", "relay")),
  percentiles("Total time", "less is better", "TotalTime"),
  percentiles("Time to first byte", "less is better", "TimeToFirstByte"),
  percentiles("Relay overhead before the first byte", "less is better", "OverheadTime"),
  parts("Provider attempts", "per 10 seconds, retries included",
    of("Attempts", "a", "attempts"), of("RateLimited", "d", "answered with 429")),
  stack("Tokens", "per 10 seconds, as the provider counts them",
    of("TokensIn", "b", "in"), of("TokensOut", "a", "out")),
  split("Cost by model", "since the start, as the provider reports it or at its listed price", "CostUsd", "model"),
  stack("Budgets", "calls per 10 seconds of clients with a budget",
    of("BudgetReservations", "a", "reserved"), of("BudgetRefused", "d", "refused")),
  stack("Batch rows", "per 10 seconds, as workers report them",
    of("RowsCompleted", "a", "completed"), of("RowsFailed", "d", "failed")),
];

export const TILES = [
  ["Requests", "Requests", "sum"],
  ["Failures", "Failures", "sum"],
  ["p95 latency", "TotalTime", "p95"],
  ["Relay overhead, p50", "OverheadTime", "p50"],
  ["Tokens out", "TokensOut", "sum"],
  ["Cost", "CostUsd", "sum"],
];
