// What the official client sends and gets beside the text of an answer.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ANSWER, PICTURES, QUESTION, WEATHER_QUESTION, messages, weather } from './questions.mjs';
import { client, collect } from './stack.mjs';
import { simulating } from './variants.mjs';

const MODEL = 'abliterated-model';
const asked = { model: MODEL, messages: messages(QUESTION) };
const askedOfResponses = { model: MODEL, input: QUESTION };

describe('vision', () => {
  for (const [kind, url, seen] of PICTURES) {
    test(`chat completions take ${kind}`, async () => {
      const parts = [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url, detail: 'low' } },
      ];
      const body = { model: MODEL, messages: messages(parts) };
      const completion = await client.chat.completions.create(body);
      assert.match(completion.choices[0].message.content, seen);
    });

    test(`Responses take ${kind}`, async () => {
      const parts = [
        { type: 'input_text', text: 'What is this?' },
        { type: 'input_image', image_url: url, detail: 'low' },
      ];
      const response = await client.responses.create({ model: MODEL, input: messages(parts) });
      assert.match(response.output_text, seen);
    });
  }
});

describe('reasoning', () => {
  const reasoningOf = (message) => message.reasoning ?? message.reasoning_content;

  for (const field of ['reasoning', 'reasoning_content', 'both']) {
    const body = { ...asked, model: simulating(`reasoning-field=${field}`) };

    test(`it is seen in a completion, provider's field: ${field}`, async () => {
      const { message } = (await client.chat.completions.create(body)).choices[0];
      assert.match(reasoningOf(message), /short answer/);
      assert.equal(message.content, ANSWER);
    });

    test(`it is seen in a stream, provider's field: ${field}`, async () => {
      const stream = await client.chat.completions.create({ ...body, stream: true });
      const chunks = await collect(stream);
      const seen = chunks.map((chunk) => reasoningOf(chunk.choices[0]?.delta ?? {}));
      assert.match(seen.join(''), /short answer/);
    });
  }
});

describe('what a provider may refuse is accepted', () => {
  for (const stream of [false, true]) {
    const form = stream ? 'streamed' : 'whole';
    const complete = async (changes) => {
      const body = { ...asked, ...changes };
      const completions = client.chat.completions;
      if (stream) return completions.stream(body).finalChatCompletion();
      return completions.create(body);
    };
    const respond = async (changes) => {
      const body = { ...askedOfResponses, ...changes };
      if (stream) return client.responses.stream(body).finalResponse();
      return client.responses.create(body);
    };
    const strict = { ...weather, strict: true };

    test(`max_completion_tokens, which limits the answer, ${form}`, async () => {
      const completion = await complete({
        max_completion_tokens: 2, messages: messages('Reply with: one two three'),
      });
      assert.equal(completion.choices[0].message.content, 'one two');
      assert.equal(completion.choices[0].finish_reason, 'length');
    });

    test(`max_output_tokens, which makes a response incomplete, ${form}`, async () => {
      const response = await respond({ max_output_tokens: 2, input: 'Reply with: one two three' });
      assert.equal(response.output_text, 'one two');
      assert.equal(response.status, 'incomplete');
      assert.equal(response.incomplete_details.reason, 'max_output_tokens');
    });

    test(`the developer role, ${form}`, async () => {
      const developer = { role: 'developer', content: 'Be brief.' };
      const completion = await complete({ messages: [developer, ...asked.messages] });
      assert.equal(completion.choices[0].message.content, ANSWER);
      const response = await respond({ input: [developer, ...asked.messages] });
      assert.equal(response.output_text, ANSWER);
    });

    test(`strict tools, ${form}`, async () => {
      const completion = await complete({
        messages: messages(WEATHER_QUESTION), tools: [{ type: 'function', function: strict }],
      });
      assert.equal(completion.choices[0].message.tool_calls[0].function.name, weather.name);
      const response = await respond({
        input: WEATHER_QUESTION, tools: [{ type: 'function', ...strict }],
      });
      assert.equal(response.output[0].name, weather.name);
    });

    test(`an unknown field, ${form}`, async () => {
      const completion = await complete({ made_up: 1 });
      assert.equal(completion.choices[0].message.content, ANSWER);
      const response = await respond({ made_up: 1 });
      assert.equal(response.output_text, ANSWER);
    });
  }

  test('a field that was dropped is named in a header', async () => {
    const body = { ...asked, made_up: 1 };
    const { response } = await client.chat.completions.create(body).withResponse();
    assert.match(response.headers.get('x-relay-dropped'), /\bmade_up\b/);
  });
});

describe('headers', () => {
  for (const stream of [false, true]) {
    for (const [endpoint, ask] of [
      ['chat completions', () => client.chat.completions.create({ ...asked, stream })],
      ['Responses', () => client.responses.create({ ...askedOfResponses, stream })],
    ]) {
      test(`${endpoint} tell request id and attempts, stream: ${stream}`, async () => {
        const { data, response, request_id } = await ask().withResponse();
        if (stream) await collect(data);
        else assert.equal(data._request_id, request_id);
        assert.ok(request_id);
        assert.equal(response.headers.get('x-relay-attempts'), '1');
      });
    }
  }
});
