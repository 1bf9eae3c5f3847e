"""Programs that run in containers, with the standard library alone and the bundle's interpreter."""
