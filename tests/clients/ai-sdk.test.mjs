// Vercel's AI SDK, with each of its ways to speak OpenAI's API.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  APICallError, Output, generateObject, generateText, isStepCount, jsonSchema, streamText, tool,
} from 'ai';

import {
  ANSWER, CITY_QUESTION, City, PICTURES, QUESTION, WEATHER_ANSWER, WEATHER_QUESTION, weather,
} from './questions.mjs';
import { STACK, TIMEOUT_MS, collect } from './stack.mjs';
import { VARIANTS, simulating } from './variants.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false; // generateObject is deprecated, and still much used

const openai = createOpenAI(STACK);
const compatible = createOpenAICompatible({
  ...STACK,
  name: 'relay',
  includeUsage: true,
  supportsStructuredOutputs: true,
  supportedUrls: () => ({ 'image/*': [/^https:/] }), // else it downloads them
});
const PROVIDERS = [
  ['openai.chat', (model) => openai.chat(model)],
  ['openai.responses', (model) => openai.responses(model)],
  ['openai-compatible', (model) => compatible(model)],
];

const once = () => ({ maxRetries: 0, abortSignal: AbortSignal.timeout(TIMEOUT_MS) });

for (const [provider, modelOf] of PROVIDERS) {
  for (const { name, model } of VARIANTS) {
    describe(`${provider}, ${name}`, () => everyWay(modelOf(model)));
  }
  describe(`${provider}, whatever the stream`, () => besideStreams(modelOf));
}

function everyWay(model) {
  test('generateText', async () => {
    const result = await generateText({ ...once(), model, prompt: QUESTION });
    assert.equal(result.text, ANSWER);
    assert.equal(result.finishReason, 'stop');
    assert.ok(result.usage.totalTokens > 0);
  });

  test('streamText', async () => {
    const { parts, text, finishReason } = await streamed({ model, prompt: QUESTION });
    assert.equal(text, ANSWER);
    assert.equal(finishReason, 'stop');
    assert.ok(parts.filter(({ type }) => type === 'text-delta').length > 1);
  });

  for (const [way, ask] of [['generateText', generateText], ['streamText', streamed]]) {
    test(`${way} goes on from a tool to an answer`, async () => {
      const cities = [];
      const get_weather = tool({
        description: weather.description,
        inputSchema: jsonSchema(weather.parameters),
        strict: true,
        execute: ({ city }) => {
          cities.push(city);
          return 'sunny';
        },
      });
      const result = await ask({
        ...once(), model, prompt: WEATHER_QUESTION, tools: { get_weather },
        stopWhen: isStepCount(3),
      });
      assert.equal(await result.text, WEATHER_ANSWER);
      assert.deepEqual(cities, ['example']);
    });
  }

  test('generateText with an output schema', async () => {
    const output = Output.object({ schema: City });
    const result = await generateText({ ...once(), model, prompt: CITY_QUESTION, output });
    assert.ok(City.safeParse(result.output).success);
  });

  test('streamText with an output schema', async () => {
    const output = Output.object({ schema: City });
    const result = await streamed({ model, prompt: CITY_QUESTION, output });
    assert.ok(City.safeParse(result.output).success);
  });

  test('generateObject', async () => {
    const result = await generateObject({ ...once(), model, prompt: CITY_QUESTION, schema: City });
    assert.ok(City.safeParse(result.object).success);
  });
}

function besideStreams(modelOf) {
  for (const [kind, url, seen] of PICTURES) {
    test(`vision by ${kind}`, async () => {
      const picture = { type: 'file', data: new URL(url), mediaType: 'image/png' };
      const content = [{ type: 'text', text: 'What is this?' }, picture];
      const model = modelOf('abliterated-model');
      const result = await generateText({
        ...once(), model, messages: [{ role: 'user', content }],
      });
      assert.match(result.text, seen);
    });
  }

  test('a system message and a limit', async () => {
    const result = await generateText({
      ...once(), model: modelOf('abliterated-model'), instructions: 'Be brief.',
      prompt: 'Reply with: one two three', maxOutputTokens: 2,
    });
    assert.equal(result.text, 'one two');
    assert.equal(result.finishReason, 'length');
  });

  // Unless disabled, it names an earlier answer by its id, which a stateless provider forgot.
  test('a second turn carries the first, with store: false', async () => {
    const model = modelOf('abliterated-model');
    const asked = { ...once(), model, providerOptions: { openai: { store: false } } };
    const messages = [{ role: 'user', content: QUESTION }];
    const first = await generateText({ ...asked, messages });
    messages.push(...first.response.messages, { role: 'user', content: 'What was that?' });
    const second = await generateText({ ...asked, messages });
    const wordsMore = second.usage.inputTokens - first.usage.inputTokens; // words are its tokens
    assert.equal(wordsMore, `${ANSWER} What was that?`.split(' ').length);
  });

  for (const status of [400, 402, 403, 404, 422, 429, 500, 502]) {
    test(`the provider's ${status} is an APICallError`, async () => {
      const model = modelOf(simulating(`status=${status}`));
      const failure = await rejection(generateText({ ...once(), model, prompt: QUESTION }));
      assert.equal(failure.statusCode, status);
      assert.ok(failure.responseHeaders['x-request-id']);
      assert.ok(failure.message);
    });
  }

  test('a wrong client key is an APICallError', async () => {
    const headers = { Authorization: 'Bearer sk-relay-another-client-00000000000' };
    const model = modelOf('abliterated-model');
    const failure = await rejection(generateText({ ...once(), model, prompt: QUESTION, headers }));
    assert.equal(failure.statusCode, 401);
    assert.match(failure.message, /key/);
  });
}

/** Read a stream of text to its end and return what it comes to; no error may be in it. */
async function streamed(asked) {
  const errors = [];
  // Of a message only the first line: the list of all that an event should have been fills pages.
  const onError = ({ error }) => errors.push(error.message.split('\n')[0]);
  const result = streamText({ ...once(), ...asked, onError });
  const parts = await collect(result.fullStream);
  assert.deepEqual(errors, []);
  const { output } = asked;
  return {
    parts,
    text: await result.text,
    finishReason: await result.finishReason,
    output: output && await result.output,
  };
}

/** Return what a call failed with. */
async function rejection(call) {
  const failure = await call.then(() => assert.fail('It did not fail'), (error) => error);
  assert.ok(APICallError.isInstance(failure), String(failure));
  return failure;
}

// Only the compatible provider reads what OpenAI's own API does not send.
for (const field of ['reasoning', 'reasoning_content', 'both']) {
  const model = compatible(simulating(`reasoning-field=${field}`));

  test(`reasoning is seen, provider's field: ${field}`, async () => {
    const result = await generateText({ ...once(), model, prompt: QUESTION });
    assert.match(result.reasoningText, /short answer/);
  });

  test(`streamed reasoning is seen, provider's field: ${field}`, async () => {
    const { parts } = await streamed({ model, prompt: QUESTION });
    const deltas = parts.filter(({ type }) => type === 'reasoning-delta');
    assert.match(deltas.map(({ text }) => text).join(''), /short answer/);
  });
}
