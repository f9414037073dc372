// What the suites ask, and what the provider simulator answers to it.

import { z } from 'zod';

export const QUESTION = 'Reply with: it works';
export const ANSWER = 'it works';

export const WEATHER_QUESTION = 'What is the weather in Paris?';
export const WEATHER_ANSWER = 'The tool answered: sunny';
export const weather = {
  name: 'get_weather',
  description: 'Tells the weather of a city.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};

export const City = z.object({ name: z.string(), people: z.number().int(), capital: z.boolean() });
export const CITY_QUESTION = 'Describe a city.';

export const messages = (content) => [{ role: 'user', content }];

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5'
  + 'ErkJggg==';

/** Kinds of pictures, with what the simulator sees in them. */
export const PICTURES = [
  ['an https URL', 'https://example.com/stonehenge.jpg', /stonehenge\.jpg/],
  ['a data URL', `data:image/png;base64,${PIXEL}`, /image\/png/],
];
