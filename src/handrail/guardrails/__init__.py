"""Guardrails: the code around a write, in the worker that makes it: the door."""
