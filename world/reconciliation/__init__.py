"""The books, the bank that delivers statements to them, and the seeded months that they play."""
