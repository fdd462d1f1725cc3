"""A shop and its support desk: customers, orders, their messages, and a tracker that people read.

Everything is generated from a seed; the truth of a message (`messages.Truth`) stays here.
"""
