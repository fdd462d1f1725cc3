"""`make guards`: every guard of Handrail fires once on the shipments agent, and says why.

The server, the worker, the inbox, the carrier and the mail server are real, each a process of
its own, and the alerts are those of the feed. What a row of the table says was read from the
ledger, the case or the outside system. Where a guard needs another policy, one is derived from
the agent's own file, as its owner would change it: while everything runs.
"""
