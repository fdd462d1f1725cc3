"""The outside world of the invoices agent: suppliers, orders, invoices, and who pays them.

All of it is generated from a seed. What is wrong with an invoice is known to `truth` alone, which
the payables service does not have.
"""
