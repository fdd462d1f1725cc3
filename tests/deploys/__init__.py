"""Real worker processes are killed, and replaced by others of which the models have changed."""
