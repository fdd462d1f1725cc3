"""Agents: what an agent is written with, and how its case runs as a Temporal workflow."""
