"""Programs that run in a sandbox's pod, with the standard library alone and the bundle's interpreter."""
