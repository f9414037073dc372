// Plots as SVG, drawn at the width that they have on the page.

import { clock } from "./units.js";

const HEIGHT = 150, LEFT = 46, BOTTOM = 18, TOP = 8;
const CHARACTER_PIXELS = 6.5; // of a label, at most on average

export function element(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The smallest of 1, 2, 4, 6, 10, 20, … that is no less than a value. */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** Axes for values up to `most` and a span of time; `x` and `y` say where a point is. */
function frame(width, most, { from, until }, write) {
  const top = ceiling(most);
  const x = (at) => LEFT + ((at - from) / (until - from)) * (width - LEFT);
  const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const parts = [];
  for (const value of [0, top / 2, top]) {
    parts.push(element("path", { class: "grid", d: `M${LEFT} ${y(value)}H${width}` }));
    parts.push(element("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, write(value)));
  }
  for (const [share, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const at = from + share * (until - from);
    parts.push(element("text", { x: x(at), y: HEIGHT - 2, "text-anchor": anchor }, clock(at)));
  }
  return { x, y, parts };
}

function drawing(width, says, parts) {
  const about = { role: "img", "aria-label": says, viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT };
  return element("svg", about, ...parts);
}

/** The steps that are shown, each with where its bar begins and ends. */
function stand(series, from, stacked) {
  const heights = new Map();
  return series.map(({ color, steps }) => ({
    color,
    steps: steps.filter((step) => step.at >= from && step.sum > 0).map(({ at, sum }) => {
      const low = stacked ? heights.get(at) ?? 0 : 0;
      heights.set(at, low + sum);
      return { at, low, high: low + sum };
    }),
  }));
}

/** Sums of each step; `series` are {color, steps}. */
export function bars(width, span, series, stacked, write, says) {
  const standing = stand(series, span.from, stacked);
  // Half of the top is written, too, and there is no half request.
  const most = Math.max(2, ...standing.flatMap((one) => one.steps.map((step) => step.high)));
  const { x, y, parts } = frame(width, most, span, write);
  const thick = Math.min(18, Math.max(1.5, x(span.from + span.step) - x(span.from) - 1.5));
  for (const { color, steps } of standing) {
    for (const { at, low, high } of steps) {
      const height = Math.max(1.5, y(low) - y(high));
      parts.push(element("rect", { class: color, x: x(at), y: y(low) - height, width: thick, height, rx: 1 }));
    }
  }
  return drawing(width, says, parts);
}

/** Percentiles of each step; a line is interrupted where nothing happened for a while. */
export function lines(width, span, series, write, says) {
  const inside = series.map((one) => ({ ...one, steps: one.steps.filter((step) => step.at >= span.from) }));
  const most = Math.max(0, ...inside.flatMap((one) => one.steps.map((step) => step[one.key])));
  const { x, y, parts } = frame(width, most, span, write);
  for (const { color, key, steps } of inside) {
    let path = "", before = -Infinity;
    for (const step of steps) {
      const at = x(step.at + span.step / 2), up = y(step[key]);
      path += `${step.at - before > 3 * span.step ? "M" : "L"}${at.toFixed(1)} ${up.toFixed(1)}`;
      before = step.at;
      parts.push(element("circle", { class: color, cx: at, cy: up, r: 2.5 }));
    }
    parts.push(element("path", { class: color, d: path }));
  }
  return drawing(width, says, parts);
}

/** A label, shortened to the room beside its value. */
function fitted(label, text, width) {
  const most = Math.max(8, Math.floor(width / CHARACTER_PIXELS) - text.length - 2);
  return label.length > most ? `${label.slice(0, most - 1)}…` : label;
}

/** A horizontal bar for each row. */
export function split(width, rows, says) {
  const most = Math.max(...rows.map((row) => row.value)) || 1;
  const parts = rows.flatMap(({ label, value, text }, index) => {
    const y = index * 34;
    return [
      element("text", { x: 0, y: y + 11 }, fitted(label, text, width)),
      element("text", { x: width, y: y + 11, "text-anchor": "end" }, text),
      element("rect", { class: "a", x: 0, y: y + 16, width: Math.max(2, (value / most) * width), height: 9, rx: 3 }),
    ];
  });
  const height = rows.length * 34;
  const about = { role: "img", "aria-label": says, viewBox: `0 0 ${width} ${height}`, height };
  return element("svg", about, ...parts);
}
