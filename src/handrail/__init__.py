"""Write access for AI agents that a business can trust."""
