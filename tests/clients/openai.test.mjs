// The official client through every way in which a provider may stream.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';

import {
  ANSWER, CITY_QUESTION, City, QUESTION, WEATHER_ANSWER, WEATHER_QUESTION, messages, weather,
} from './questions.mjs';
import { client, collect } from './stack.mjs';
import { VARIANTS } from './variants.mjs';

for (const { name, model } of VARIANTS) {
  describe(`chat completions, ${name}`, () => chatCompletions(model));
  describe(`Responses, ${name}`, () => responses(model));
}

function chatCompletions(model) {
  const asked = { model, messages: messages(QUESTION) };
  const cityAsked = {
    model, messages: messages(CITY_QUESTION), response_format: zodResponseFormat(City, 'city'),
  };
  const tools = [{ type: 'function', function: { ...weather, strict: true } }];
  const weatherAsked = { model, messages: messages(WEATHER_QUESTION), tools };

  test('a completion', async () => {
    const completion = await client.chat.completions.create(asked);
    assert.equal(completion.choices[0].message.content, ANSWER);
    assert.ok(completion.usage.total_tokens > 0);
  });

  test('a streamed completion comes in pieces', async () => {
    const stream = await client.chat.completions.create({ ...asked, stream: true });
    const chunks = await collect(stream);
    const pieces = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
    assert.ok(pieces.length > 1);
    assert.equal(pieces.join(''), ANSWER);
  });

  test('a stream tells its usage when asked to', async () => {
    const stream = await client.chat.completions.create({
      ...asked, stream: true, stream_options: { include_usage: true },
    });
    const last = (await collect(stream)).at(-1);
    assert.deepEqual(last.choices, []);
    assert.ok(last.usage.total_tokens > 0);
  });

  test('the stream helper gives the whole completion', async () => {
    const completion = await client.chat.completions.stream(asked).finalChatCompletion();
    assert.equal(completion.choices[0].message.content, ANSWER);
    assert.equal(completion.choices[0].finish_reason, 'stop');
  });

  test('an answer is parsed by a schema', async () => {
    const completion = await client.chat.completions.parse(cityAsked);
    assert.ok(City.safeParse(completion.choices[0].message.parsed).success);
  });

  test('a streamed answer is parsed by a schema', async () => {
    const completion = await client.chat.completions.stream(cityAsked).finalChatCompletion();
    assert.ok(City.safeParse(completion.choices[0].message.parsed).success);
  });

  for (const [way, ask] of [
    ['whole', (body) => client.chat.completions.create(body)],
    ['streamed', (body) => client.chat.completions.stream(body).finalChatCompletion()],
  ]) {
    test(`a tool's output leads to an answer, ${way}`, async () => {
      const { message, finish_reason } = (await ask(weatherAsked)).choices[0];
      assert.equal(finish_reason, 'tool_calls');
      const outputs = message.tool_calls.map((call) => weatherOutput(call.function, {
        role: 'tool', tool_call_id: call.id, content: 'sunny',
      }));
      const history = [...weatherAsked.messages, message, ...outputs];
      const final = await ask({ ...weatherAsked, messages: history });
      assert.equal(final.choices[0].message.content, WEATHER_ANSWER);
    });
  }

  for (const stream of [false, true]) {
    test(`runTools goes on to an answer, ${stream ? 'streamed' : 'whole'}`, async () => {
      const cities = [];
      const runnable = { ...weather, parse: JSON.parse, function: ({ city }) => {
        cities.push(city);
        return 'sunny';
      } };
      const runner = client.chat.completions.runTools({
        ...weatherAsked, stream, tools: [{ type: 'function', function: runnable }],
      });
      assert.equal(await runner.finalContent(), WEATHER_ANSWER);
      assert.deepEqual(cities, ['example']);
    });
  }
}

function responses(model) {
  const asked = { model, input: QUESTION };
  const cityAsked = {
    model, input: CITY_QUESTION, text: { format: zodTextFormat(City, 'city') },
  };
  const tools = [{ type: 'function', ...weather, strict: true }];
  const weatherAsked = { model, input: messages(WEATHER_QUESTION), tools };

  test('a response', async () => {
    const response = await client.responses.create(asked);
    assert.equal(response.output_text, ANSWER);
    assertComplete(response);
  });

  test('a streamed response is the full sequence of events', async () => {
    const stream = await client.responses.create({ ...asked, stream: true });
    const events = await collect(stream);
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    assert.equal(deltas.map(({ delta }) => delta).join(''), ANSWER);
    assert.deepEqual(events.map(({ type }) => type), [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      ...deltas.map(({ type }) => type),
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  });

  test('the last event of a stream holds the whole response', async () => {
    const stream = await client.responses.create({ ...asked, stream: true });
    const { response } = (await collect(stream)).at(-1);
    assert.equal(response.output[0].content[0].text, ANSWER);
    assertComplete(response);
  });

  test('the stream helper gives the whole response', async () => {
    const response = await client.responses.stream(asked).finalResponse();
    assert.equal(response.output_text, ANSWER);
    assert.equal(response.status, 'completed');
  });

  test('an answer is parsed by a schema', async () => {
    const response = await client.responses.parse(cityAsked);
    assert.ok(City.safeParse(response.output_parsed).success);
  });

  test('a streamed answer is parsed by a schema', async () => {
    const response = await client.responses.stream(cityAsked).finalResponse();
    assert.ok(City.safeParse(response.output_parsed).success);
  });

  for (const [way, ask] of [
    ['whole', (body) => client.responses.create(body)],
    ['streamed', (body) => client.responses.stream(body).finalResponse()],
  ]) {
    test(`a tool's output leads to an answer, ${way}`, async () => {
      const { output } = await ask(weatherAsked);
      const calls = output.filter((item) => item.type === 'function_call');
      const outputs = calls.map((call) => weatherOutput(call, {
        type: 'function_call_output', call_id: call.call_id, output: 'sunny',
      }));
      const input = [...weatherAsked.input, ...output, ...outputs];
      assert.equal((await ask({ ...weatherAsked, input })).output_text, WEATHER_ANSWER);
    });
  }
}

/** Return a tool's output, once the call of it is found to be right. */
function weatherOutput(call, output) {
  assert.equal(call.name, weather.name);
  assert.deepEqual(JSON.parse(call.arguments), { city: 'example' });
  assert.ok(output.tool_call_id ?? output.call_id);
  return output;
}

/** Demand what the client's types say is always there. */
function assertComplete(response) {
  assert.equal(response.status, 'completed');
  assert.equal(response.object, 'response');
  assert.ok(response.id && response.model && response.created_at);
  assert.equal(typeof response.parallel_tool_calls, 'boolean');
  assert.ok(response.tool_choice);
  assert.ok(Array.isArray(response.tools));
  const { usage } = response;
  if (usage === null) return; // the provider sent none, as in its three-event streams
  assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
  assert.equal(typeof usage.input_tokens_details.cached_tokens, 'number');
  assert.equal(typeof usage.output_tokens_details.reasoning_tokens, 'number');
}
