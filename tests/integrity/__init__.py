"""The integrity suite: `make integrity`. What it shows is said in README.md."""
