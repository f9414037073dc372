// Asks for the figures every two seconds while the page is looked at, and shows them.

import { PANELS, TILES } from "./panels.js";
import { bars, lines, split } from "./plots.js";
import { table } from "./tables.js";
import { written } from "./units.js";

const EVERY_MILLISECONDS = 2000;
const PERCENTILES = [["p50", "a"], ["p95", "b"], ["p99", "c"]];
const MOST_ROWS = 6, SHORTEST_SECONDS = 120;
const $ = (id) => document.getElementById(id);
let figures;

/** The command that brings the first figures; a key of one's own is in the shell's environment. */
function curl() {
  return `curl ${location.origin}/v1/chat/completions \\
  -H "Authorization: Bearer \${RELAY_CLIENT_KEY:-sk-relay-local-000000000000000000000000}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "abliterated-model", "messages": [{"role": "user", "content": "hello"}]}'`;
}

function html(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function tiles(metrics) {
  const shown = TILES.filter(([, name]) => metrics[name]).map(([label, name, key]) =>
    html("div", "", html("dt", label),
      html("dd", written(metrics[name].whole[key], metrics[name].unit, name))));
  $("tiles").replaceChildren(...shown);
}

function barPanel(panel, metrics, width, span) {
  const series = panel.series.filter(({ name }) => metrics[name])
    .map((one) => ({ ...one, ...metrics[one.name] }));
  const [{ unit, name }] = series;
  const write = (value) => written(value, unit, name);
  const rows = series.map((one) => [one.label, one.color, [write(one.whole.sum)]]);
  const says = rows.map(([label, , [sum]]) => `${label} ${sum}`).join(", ");
  const plot = bars(width, span, series, panel.stacked, write, `${panel.title} since the start: ${says}`);
  return [plot, table(["", "since the start"], rows)];
}

function percentilePanel(panel, metrics, width, span) {
  const [{ name }] = panel.series, { unit, steps, whole } = metrics[name];
  const write = (value) => written(value, unit, name);
  const series = PERCENTILES.map(([key, color]) => ({ key, color, steps }));
  const rows = PERCENTILES.map(([key, color]) =>
    [key, color, [write(whole[key])]]);
  const says = rows.map(([label, , [value]]) => `${label} ${value}`).join(", ");
  const plot = lines(width, span, series, write, `${panel.title} since the start: ${says}`);
  return [plot, table(["", "since the start"], rows)];
}

function splitPanel(panel, metrics, width) {
  const [{ name }] = panel.series, { unit, by, whole } = metrics[name];
  const largest = Object.entries(by[panel.by] ?? {}).map(([label, { sum }]) => [label, sum])
    .sort((one, other) => other[1] - one[1]).slice(0, MOST_ROWS);
  const rest = whole.sum - largest.reduce((total, [, sum]) => total + sum, 0);
  if (rest > whole.sum / 1e4) largest.push(["others, and batch rows", rest]);
  const rows = largest.map(([label, value]) => ({ label, value, text: written(value, unit, name) }));
  const says = rows.map(({ label, text }) => `${label} ${text}`).join(", ");
  return [split(width, rows, `${panel.title}: ${says}`)];
}

const DRAW = { bars: barPanel, percentiles: percentilePanel, split: splitPanel };

/** What is shown of the time: from the first figure on, at most as long as was chosen. */
function spanOf({ metrics, now, step_seconds: step }) {
  const first = Math.min(...Object.values(metrics).flatMap(({ steps }) => steps.slice(0, 1).map(({ at }) => at)));
  const from = Math.max(Math.min(first, now - SHORTEST_SECONDS), now - 60 * $("minutes").value);
  return { from, until: now + step / 2, step };
}

function panels({ metrics }, span) {
  const there = PANELS.filter((panel) => panel.series.some(({ name }) => metrics[name]));
  while ($("panels").children.length < there.length) $("panels").append(html("section"));
  while ($("panels").children.length > there.length) $("panels").lastChild.remove();
  there.forEach((panel, index) => {
    const section = $("panels").children[index];
    section.className = "panel";
    const width = Math.max(220, section.clientWidth - 42);
    const note = html("p", panel.note);
    note.className = "quiet";
    section.replaceChildren(
      html("h2", panel.title), note, ...DRAW[panel.kind](panel, metrics, width, span));
  });
}

function everything(metrics) {
  const rows = Object.entries(metrics).map(([name, { unit, whole }]) => {
    const isTime = ["Milliseconds", "Seconds"].includes(unit);
    const values = PERCENTILES.map(([key]) => (isTime ? written(whole[key], unit, name) : ""));
    return [name, "", [unit, written(whole.count, "Count", ""), written(whole.sum, unit, name), ...values]];
  });
  $("all").querySelector("div").replaceChildren(
    table(["metric", "unit", "values", "sum", "p50", "p95", "p99"], rows));
}

function show() {
  const { metrics, routes } = figures;
  const is_empty = Object.keys(metrics).length === 0;
  $("nothing").hidden = !is_empty;
  $("all").hidden = is_empty;
  const known = [...$("route").options].map((option) => option.value);
  $("route").append(...routes.filter((route) => !known.includes(route)).map((route) => new Option(route, route)));
  tiles(metrics);
  panels(figures, spanOf(figures));
  everything(metrics);
}

async function refresh() {
  const route = $("route").value;
  const query = route ? `?${new URLSearchParams({ route })}` : "";
  try {
    const answer = await fetch(`/_local/metrics.json${query}`);
    figures = await answer.json();
    show();
    $("state").classList.remove("lost");
    $("state").textContent = "Live: updated every two seconds.";
  } catch {
    $("state").classList.add("lost");
    $("state").textContent = "The stack does not answer. Start it with: make run";
  }
}

async function live() {
  if (!document.hidden) await refresh();
  setTimeout(live, EVERY_MILLISECONDS);
}

$("curl").textContent = curl();
$("choices").addEventListener("change", refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("resize", () => figures && show());
live();
