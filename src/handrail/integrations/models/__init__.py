"""Models: decide steps that ask a language model, within bounds, and keep what it cost."""
