// Where the stack is, and the official client that asks it once and does not try again.

import { OpenAI } from 'openai';

const given = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set. Run the suites by: make clients`);
  return process.env[name];
};

export const STACK = { baseURL: given('BASE_URL'), apiKey: given('CLIENT_KEY') };
export const TIMEOUT_MS = 30_000;
export const client = new OpenAI({ ...STACK, maxRetries: 0, timeout: TIMEOUT_MS });

/** Read a stream to its end. (Node 20 has no Array.fromAsync.) */
export async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}
