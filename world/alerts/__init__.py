"""A plant of two sites: what feeds what, its faults, and an Alertmanager that posts their alarms.

Everything is generated from a seed; which fault an alarm comes from (`plant.Day.truth`) stays here.
"""
