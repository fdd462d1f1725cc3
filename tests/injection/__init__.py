"""Hostile texts against an agent whose every decision obeys them. See README.md."""
