import test from 'node:test';
import assert from 'node:assert';
import { parse } from './query.mjs';

test('the last one counts', () => {
  assert.deepStrictEqual({ ...parse('?a=1&b=x+y&a=2') }, { a: '2', b: 'x y' });
});
