/** The names and values of a query. */
export function parse(query) {
  const found = Object.create(null);
  for (const [name, value] of new URLSearchParams(query)) {
    found[name] = value;
  }
  return found;
}
