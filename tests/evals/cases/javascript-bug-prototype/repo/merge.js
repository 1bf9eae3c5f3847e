'use strict';

const isPlain = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** Put settings on top of others, deeply. */
function merge(target, source) {
  for (const key of Object.keys(source)) {
    if (isPlain(source[key]) && isPlain(target[key])) merge(target[key], source[key]);
    else target[key] = source[key];
  }
  return target;
}

module.exports = { merge };
