"""The crash laboratory: kills and freezes aimed at every boundary of a write, and at random.

`python -m tests.chaos` runs it whole, `--short` in a minute. What happened is counted
against the outside systems' own books, never against what the engine says of itself.

    plan       which case meets which fault, from a seed
    listener   carries a fault out, in the very process that reaches the boundary
    outside    the outside systems: one process with its own books, four surfaces
    steps, cases   the agent under test; `naive` is the control without a door
    worker     the process that is killed
    human      answers gates, and knows the truth from the books
    lab        starts, watches and restarts all of them
    aimed, storm   the two experiments
    judge      counts, and finds what must not be
"""
