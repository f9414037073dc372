// Numbers as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

function count(value) {
  if (Math.abs(value) >= 10000) return compact.format(value);
  return Number.isInteger(value) ? whole.format(value) : small.format(value);
}

function milliseconds(value) {
  return value >= 1000 ? `${small.format(value / 1000)} s` : `${small.format(value)} ms`;
}

function dollars(value) {
  return `$${value >= 100 ? whole.format(value) : small.format(value)}`;
}

/** A value in a metric's unit; CloudWatch has no unit for money, so the name tells. */
export function written(value, unit, name) {
  if (name.endsWith("Usd")) return dollars(value);
  if (unit === "Milliseconds") return milliseconds(value);
  if (unit === "Seconds") return milliseconds(value * 1000);
  return count(value);
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
