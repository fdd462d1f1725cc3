"""What is normal for an agent, learned from its own history by methods that can be explained."""
