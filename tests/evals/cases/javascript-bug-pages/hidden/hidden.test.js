'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { paginate } = require('./paginate.js');

test('the last page', () => {
  const list = [...Array(10).keys()];
  assert.deepStrictEqual(paginate(list, 3, 4), { items: [8, 9], pages: 3 });
  assert.deepStrictEqual(paginate(list, 4, 4), { items: [], pages: 3 });
  assert.deepStrictEqual(paginate([], 1, 4), { items: [], pages: 0 });
});

test('bad sizes', () => {
  for (const size of [0, -1, 1.5, NaN, '2', undefined]) assert.throws(() => paginate([1], 1, size), RangeError);
});
