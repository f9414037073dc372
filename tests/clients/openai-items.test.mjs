// The official client's strict helper on reasoning items, refusals and web searches.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ANSWER, QUESTION } from './questions.mjs';
import { client, collect } from './stack.mjs';
import { simulating } from './variants.mjs';

const STREAMS = ['responses-stream=full', 'responses-stream=minimal'];
const ITEMS = {
  'reasoning-items=text': ['reasoning', 'message'],
  'reasoning-items=summary': ['reasoning', 'message'],
  refuses: ['message'],
  'web-search=first': ['web_search_call', 'message'],
  'web-search=inside': ['web_search_call', 'message'],
  'web-search=first;reasoning-items=text': ['web_search_call', 'reasoning', 'message'],
};

for (const stream of STREAMS) {
  for (const [items, kinds] of Object.entries(ITEMS)) {
    describe(`Responses, ${stream};${items}`, () => itemTests(`${stream};${items}`, kinds));
  }
}

function itemTests(switches, kinds) {
  const asked = { model: simulating(switches), input: QUESTION };

  test('the stream helper ends with every item', async () => {
    const response = await client.responses.stream(asked).finalResponse();
    assert.deepEqual(response.output.map((item) => item.type), kinds);
    const [part] = response.output.at(-1).content;
    assert.equal(part.refusal ?? part.text, ANSWER);
  });

  test('every event names the item that was announced in its place', async () => {
    const stream = await client.responses.create({ ...asked, stream: true });
    const events = await collect(stream);
    const added = events.filter((event) => event.type === 'response.output_item.added');
    assert.deepEqual(added.map((event) => event.output_index), [...kinds.keys()]);
    for (const event of events.filter((each) => 'item_id' in each)) {
      assert.equal(event.item_id, added[event.output_index].item.id);
    }
  });
}
