import test from 'node:test';
import assert from 'node:assert';
import { parse } from './query.mjs';

test('values in order', () => {
  assert.deepStrictEqual({ ...parse('tag[]=b&x=1&tag[]=a') }, { tag: ['b', 'a'], x: '1' });
  assert.deepStrictEqual({ ...parse('tag%5B%5D=one') }, { tag: ['one'] });
  assert.deepStrictEqual({ ...parse('a=1&a=2') }, { a: '2' });
});
