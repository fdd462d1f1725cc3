"""What `handrail demo NAME` runs beside the worker, one file an agent: its systems and events.

These are the only modules of the agents' side that know `world`.
"""
