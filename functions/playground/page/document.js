/** The element of an id. */
export const $ = (id) => document.getElementById(id);

/** A new element; what it says is text, never markup. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** The value of the chosen one of some radio buttons. */
export const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

/** Copies a text, and says so on the button for a moment. */
export async function copy(text, button) {
  button.dataset.label ??= button.textContent; // a second click finds "Copied" there
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed"; // by the browser, as on pages without TLS
  }
  setTimeout(() => (button.textContent = button.dataset.label), 1500);
}

// The page is at the root of a machine, or at that of a stage: /relay and /relay/ are the same.
const ROOT = location.origin + location.pathname.replace(/\/+$/, "");

/** What goes into OPENAI_BASE_URL. */
export const BASE_URL = `${ROOT}/v1`;
