'use strict';

/** One page of a list, numbered from 1, and how many there are. */
function paginate(list, page, size) {
  const pages = Math.floor(list.length / size);
  if (page > pages) return { items: [], pages };
  const start = (page - 1) * size;
  return { items: list.slice(start, start + size), pages };
}

module.exports = { paginate };
