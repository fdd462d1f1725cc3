"""Revisions of the ledger's schema, each as it was made: they do not follow `tables.py`."""
