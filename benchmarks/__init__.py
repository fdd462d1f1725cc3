"""`make bench`: Handrail beside hand-written Temporal workflows, in one run.

All contenders do the same four steps on the same embedded server, each in a worker process
of its own, in interleaved rounds. What counts is the ratio within a round; the lean
hand-written contender runs twice, and the ratio of the two says how much noise there is.
"""
