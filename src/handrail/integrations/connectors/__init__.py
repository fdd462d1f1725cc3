"""Connectors: steps made of what an outside system says of itself."""
