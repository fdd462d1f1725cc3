"""Oversight: what people say to agents: gates, rulings, mandates, orders, reviews, keys."""
