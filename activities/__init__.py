"""What touches the outside world: the steps of the agents, one file an agent."""
