"""The client: what people and programs may ask of a running fleet, and order."""
