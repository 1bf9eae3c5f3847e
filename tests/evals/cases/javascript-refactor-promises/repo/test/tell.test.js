'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { tell } = require('../index.js');
const { store } = require('../fixture.js');

test('both ends are told', (t, done) => {
  const said = [];
  tell(store, 'ada', (line) => said.push(line), () => {
    tell(store, 'bob', (line) => said.push(line), () => {
      assert.deepStrictEqual(said, ['Ada: 12', 'failed: no user bob']);
      done();
    });
  });
});
