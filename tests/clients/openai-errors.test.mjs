// Every failure reaches the official client as the class that it has for it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { APIError, OpenAI } from 'openai';

import { QUESTION, messages } from './questions.mjs';
import { client, collect } from './stack.mjs';
import { simulating } from './variants.mjs';

const MODEL = 'abliterated-model';
const ENDPOINTS = [
  ['chat completions', (body, options) => client.chat.completions.create(
    { messages: messages(QUESTION), ...body }, options)],
  ['Responses', (body, options) => client.responses.create({ input: QUESTION, ...body }, options)],
];
// The client has no class of its own for 402.
const REFUSALS = [
  [400, OpenAI.BadRequestError, 'invalid_request'],
  [402, APIError, 'insufficient_credits'],
  [403, OpenAI.PermissionDeniedError, 'permission_denied'],
  [404, OpenAI.NotFoundError, 'not_found'],
  [422, OpenAI.UnprocessableEntityError, 'unprocessable_entity'],
  [429, OpenAI.RateLimitError, 'rate_limit_exceeded'],
  [500, OpenAI.InternalServerError, 'server_error'],
  [502, OpenAI.InternalServerError, 'server_error'],
];

/** Return what a call was refused with. */
async function refusal(call) {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof APIError, String(error));
    assert.ok(error.requestID);
    assert.ok(error.message);
    return error;
  }
  return assert.fail('It was not refused');
}

for (const [endpoint, ask] of ENDPOINTS) {
  for (const stream of [false, true]) {
    describe(`${endpoint}, stream: ${stream}`, { concurrency: true }, () => {
      for (const [status, kind, code] of REFUSALS) {
        test(`the provider's ${status} is a ${kind.name}`, async () => {
          const error = await refusal(ask({ model: simulating(`status=${status}`), stream }));
          assert.ok(error instanceof kind);
          assert.deepEqual([error.status, error.code, error.param], [status, code, null]);
        });
      }

      for (const body of ['detail', 'html', 'empty']) {
        test(`an error with a body of kind ${body} has a message and its class`, async () => {
          const model = simulating(`status=403;error-body=${body}`);
          const error = await refusal(ask({ model, stream }));
          assert.ok(error instanceof OpenAI.PermissionDeniedError);
          assert.doesNotMatch(error.message, /<html|no body/);
        });
      }

      test("a provider that refuses the relay's key is no fault of the caller", async () => {
        const error = await refusal(ask({ model: simulating('status=401'), stream }));
        assert.deepEqual([error.status, error.code], [502, 'provider_key_rejected']);
      });

      test('a wrong client key is an AuthenticationError', async () => {
        const headers = { Authorization: 'Bearer sk-relay-another-client-00000000000' };
        const error = await refusal(ask({ model: MODEL, stream }, { headers }));
        assert.ok(error instanceof OpenAI.AuthenticationError);
        assert.equal(error.code, 'invalid_api_key');
      });

      test('an unknown model is a BadRequestError that names the field', async () => {
        const error = await refusal(ask({ model: 'nothing', stream }));
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, 'model');
        assert.match(error.message, /models/);
      });

      test('a wrong value is a BadRequestError that names the field', async () => {
        const error = await refusal(ask({ model: MODEL, stream, temperature: 3 }));
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, 'temperature');
      });
    });
  }
}

for (const fault of ['cut', 'silent-close']) {
  const model = simulating(`fault=${fault}`);

  test(`a completion whose provider closes the connection (${fault}) ends in an error`, async () => {
    const stream = await ENDPOINTS[0][1]({ model, stream: true });
    await assert.rejects(collect(stream), APIError);
  });

  test(`a response whose provider closes the connection (${fault}) ends as failed`, async () => {
    const events = await collect(await ENDPOINTS[1][1]({ model, stream: true }));
    assert.equal(events.at(-1).type, 'response.failed');
  });
}
