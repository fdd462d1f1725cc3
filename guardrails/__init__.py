"""What the agents may do: their policies, and data checks that look at the world."""
