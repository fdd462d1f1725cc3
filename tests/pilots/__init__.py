"""A pilot on a real log of people's decisions."""
