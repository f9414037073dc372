// Every block of JavaScript in the documents, run as it stands.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { STACK, TIMEOUT_MS } from './stack.mjs';

const ROOT = join(import.meta.dirname, '..', '..');
const NAMES = readdirSync(join(ROOT, 'docs'), { recursive: true });
const PAGES = ['README.md', ...NAMES.map((name) => join('docs', name))];
// A block, and what stands right below it as its output.
const BLOCK = /^```js\n([^]*?)^```$(?:\s*^```text\n([^]*?)^```$)?/gm;
const env = {
  PATH: process.env.PATH, OPENAI_BASE_URL: STACK.baseURL, OPENAI_API_KEY: STACK.apiKey,
};

function run(code) {
  // From standard input, so that packages are looked for from here.
  const node = spawnSync(process.execPath, ['--input-type=module'], {
    cwd: import.meta.dirname, env, input: code, encoding: 'utf8', timeout: TIMEOUT_MS,
  });
  assert.equal(node.status, 0, node.stderr);
  return node.stdout.trim();
}

let blocks = 0;
for (const page of PAGES.filter((name) => name.endsWith('.md'))) {
  for (const [, code, prints] of readFileSync(join(ROOT, page), 'utf8').matchAll(BLOCK)) {
    blocks += 1;
    test(`${page}, block ${blocks}`, () => {
      const printed = run(code);
      if (prints) assert.equal(printed, prints.trim());
    });
  }
}

test('the documents have blocks of JavaScript, and a broken one is found', () => {
  assert.ok(blocks > 0);
  assert.throws(() => run("import 'nothing-of-the-kind';"));
});
