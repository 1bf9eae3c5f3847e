'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { paginate } = require('../paginate.js');

test('full pages', () => {
  assert.deepStrictEqual(paginate([1, 2, 3, 4], 2, 2), { items: [3, 4], pages: 2 });
});

test('beyond the end', () => {
  assert.deepStrictEqual(paginate([1, 2], 5, 2).items, []);
});
