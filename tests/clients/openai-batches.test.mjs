// Files, batches and background responses, as the official client speaks them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import OpenAI, { toFile } from 'openai';

import { client } from './stack.mjs';

const MODEL = 'abliterated-model';
const ENDPOINT = '/v1/chat/completions';
const ENDED = ['completed', 'failed', 'expired', 'cancelled'];

const row = (id, text, model = MODEL) => ({
  custom_id: id, method: 'POST', url: ENDPOINT, body: { model, messages: [{ role: 'user', content: text }] },
});

async function submitted(rows, more = {}) {
  const text = rows.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n');
  const file = await client.files.create({
    file: await toFile(Buffer.from(text), 'rows.jsonl'), purpose: 'batch',
  });
  return client.batches.create({
    input_file_id: file.id, endpoint: ENDPOINT, completion_window: '24h', ...more,
  });
}

async function ended(batch) {
  while (!ENDED.includes(batch.status)) {
    await pause(200);
    batch = await client.batches.retrieve(batch.id);
  }
  return batch;
}

async function byCustomId(fileId) {
  const text = await (await client.files.content(fileId)).text();
  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line));
  return new Map(lines.map((line) => [line.custom_id, line]));
}

test('a batch is answered row by row', async () => {
  const rows = [1, 2, 3, 4, 5].map((n) => row(`row-${n}`, `Reply with: answer ${n}`));
  const batch = await ended(await submitted(rows, { metadata: { made_by: 'a test' } }));
  assert.equal(batch.status, 'completed');
  assert.deepEqual(batch.metadata, { made_by: 'a test' });
  assert.deepEqual(batch.request_counts, { total: 5, completed: 5, failed: 0 });
  const answers = await byCustomId(batch.output_file_id);
  assert.equal(answers.size, 5);
  assert.equal(answers.get('row-3').response.body.choices[0].message.content, 'answer 3');
  assert.ok(!batch.error_file_id);
});

test('a file with bad lines fails with their numbers', async () => {
  const batch = await ended(await submitted([row('a', 'x'), '{no json', row('a', 'again')]));
  assert.equal(batch.status, 'failed');
  assert.deepEqual(batch.errors.data.map((error) => error.line), [2, 3]);
});

test('a cancelled batch ends as cancelled', async () => {
  const slow = Array.from({ length: 200 }, (_, n) => row(`s-${n}`, 'x', `${MODEL}@latency=3`));
  const batch = await submitted(slow);
  await client.batches.cancel(batch.id);
  const last = await ended(await client.batches.retrieve(batch.id));
  assert.equal(last.status, 'cancelled');
});

test('batches and files are listed page by page', async () => {
  const made = [];
  for (let n = 0; n < 3; n += 1) made.push((await ended(await submitted([row('a', 'x')]))).id);
  const seen = [];
  for await (const batch of client.batches.list({ limit: 2 })) {
    seen.push(batch.id);
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen, made.reverse());
  const files = await client.files.list({ limit: 1, purpose: 'batch' });
  assert.equal(files.data.length, 1);
});

test('a deleted file is gone', async () => {
  const file = await client.files.create({
    file: await toFile(Buffer.from(JSON.stringify(row('a', 'x'))), 'rows.jsonl'), purpose: 'batch',
  });
  assert.equal((await client.files.delete(file.id)).deleted, true);
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test('a background response is followed to its end', async () => {
  let response = await client.responses.create({
    model: MODEL, input: 'Reply with: later', background: true,
  });
  assert.equal(response.status, 'queued');
  while (['queued', 'in_progress'].includes(response.status)) {
    await pause(200);
    response = await client.responses.retrieve(response.id);
  }
  assert.equal(response.status, 'completed');
  assert.equal(response.output_text, 'later');
});
