'use strict';
const { stack } = require('./stack.js');

const named = (name) => (inner) => (request) => `${name}(${inner(`${request}>${name}`)})`;
const app = stack([named('log'), named('auth'), named('limit')], (request) => request);

module.exports = { app };
