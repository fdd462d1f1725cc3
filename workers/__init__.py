"""The processes that run the agents."""
