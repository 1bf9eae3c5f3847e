'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { report } = require('../report.js');
const { store } = require('../fixture.js');

test('a line', (t, done) => {
  report(store, 'ada', (error, line) => {
    assert.strictEqual(line, 'Ada: 12');
    done(error);
  });
});

test('nobody', (t, done) => {
  report(store, 'bob', (error) => {
    assert.match(error.message, /no user bob/);
    done();
  });
});
