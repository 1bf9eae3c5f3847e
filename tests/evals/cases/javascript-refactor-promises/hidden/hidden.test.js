'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { report } = require('./report.js');
const { tell } = require('./index.js');
const { store } = require('./fixture.js');

test('it resolves', async () => {
  assert.strictEqual(await report(store, 'ada'), 'Ada: 12');
  assert.strictEqual(await report({ ...store, orders: (id, done) => done(null, []) }, 'ada'), 'Ada: 0');
});

test('errors come through', async () => {
  await assert.rejects(report(store, 'bob'), /no user bob/);
  await assert.rejects(report({ ...store, total: (o, done) => done(new Error('away')) }, 'ada'), /away/);
});

test('the caller', (t, done) => {
  const said = [];
  tell(store, 'bob', (line) => said.push(line), () => {
    assert.deepStrictEqual(said, ['failed: no user bob']);
    done();
  });
});
