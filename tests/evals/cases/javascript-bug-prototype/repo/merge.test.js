'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { merge } = require('./merge.js');

test('deep settings', () => {
  const merged = merge({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 3 }, d: [2] });
  assert.deepStrictEqual(merged, { a: { b: 3, c: 2 }, d: [2] });
});
