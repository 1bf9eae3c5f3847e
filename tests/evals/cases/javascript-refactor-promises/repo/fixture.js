'use strict';

/** A store with one user, who ordered twice. */
const store = {
  user: (name, done) => setImmediate(done, null, name === 'ada' ? { id: 1, name: 'Ada' } : null),
  orders: (id, done) => setImmediate(done, null, [5, 7]),
  total: (order, done) => setImmediate(done, null, order),
};

module.exports = { store };
