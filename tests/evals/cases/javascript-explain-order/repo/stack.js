'use strict';

/** Wrap a handler into layers. */
const stack = (layers, handler) => layers.reduceRight((inner, layer) => layer(inner), handler);

module.exports = { stack };
