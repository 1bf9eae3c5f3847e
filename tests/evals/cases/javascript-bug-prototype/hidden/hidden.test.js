'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { merge } = require('./merge.js');

test('no prototype is changed', () => {
  merge({}, JSON.parse('{"__proto__": {"admin": true}}'));
  merge({ a: {} }, JSON.parse('{"a": {"__proto__": {"admin": true}}}'));
  merge({}, JSON.parse('{"constructor": {"prototype": {"admin": true}}}'));
  assert.strictEqual({}.admin, undefined);
});

test('other keys stay', () => {
  assert.deepStrictEqual(merge({ proto: 1 }, { proto: { x: 1 } }), { proto: { x: 1 } });
});
