'use strict';

/** How much a user has ordered, as a line of text. */
function report(store, name, callback) {
  store.user(name, (error, user) => {
    if (error) return callback(error);
    if (!user) return callback(new Error(`no user ${name}`));
    store.orders(user.id, (error, orders) => {
      if (error) return callback(error);
      let sum = 0;
      let left = orders.length;
      if (left === 0) return callback(null, `${user.name}: 0`);
      for (const order of orders) {
        store.total(order, (error, total) => {
          if (error) return callback(error);
          sum += total;
          left -= 1;
          if (left === 0) callback(null, `${user.name}: ${sum}`);
        });
      }
    });
  });
}

module.exports = { report };
