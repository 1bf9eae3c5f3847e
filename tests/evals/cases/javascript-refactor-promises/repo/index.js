'use strict';
const { report } = require('./report.js');

/** Say what a user has ordered. */
function tell(store, name, log, done) {
  report(store, name, (error, line) => {
    if (error) log(`failed: ${error.message}`);
    else log(line);
    done();
  });
}

module.exports = { tell };
