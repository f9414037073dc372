// The ways in which a provider may stream.

const MODEL = 'abliterated-model';

const SWITCHES = [
  'responses-stream', 'keep-alive', 'done', 'sequence-numbers', 'tool-events',
];

// Every value of a switch meets every value of each other switch; variants.test.mjs counts.
const ROWS = [
  ['full', 'comment', 'on', 'on', 'openai'],
  ['minimal', 'comment', 'off', 'off', 'provider'],
  ['full', 'blank', 'off', 'on', 'provider'],
  ['minimal', 'blank', 'on', 'off', 'openai'],
  ['full', 'none', 'on', 'off', 'provider'],
  ['minimal', 'none', 'off', 'on', 'openai'],
];

/** The model, with switches for the provider simulator. */
export const simulating = (switches) => `${MODEL}@${switches}`;

export const VARIANTS = ROWS.map((row) => {
  const name = row.map((value, index) => `${SWITCHES[index]}=${value}`).join(';');
  return { name, row, model: simulating(name) };
});
