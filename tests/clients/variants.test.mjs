import assert from 'node:assert/strict';
import { test } from 'node:test';

import { VARIANTS } from './variants.mjs';

const rows = VARIANTS.map(({ row }) => row);
const values = (index) => new Set(rows.map((row) => row[index]));

test('every value of a switch meets every value of each other switch', () => {
  for (let a = 0; a < rows[0].length; a += 1) {
    for (let b = a + 1; b < rows[0].length; b += 1) {
      const met = new Set(rows.map((row) => `${row[a]} ${row[b]}`));
      assert.equal(met.size, values(a).size * values(b).size);
    }
  }
});
