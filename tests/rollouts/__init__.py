"""Rollouts of builds that do well and of builds that do not, by real worker processes."""
