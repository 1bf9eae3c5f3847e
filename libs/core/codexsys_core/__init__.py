"""The nouns, rules and ports of codexsys: pydantic and the standard library only."""
