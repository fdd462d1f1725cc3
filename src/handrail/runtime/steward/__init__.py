"""The steward of an agent: a workflow that takes orders on how much the agent may do, and shows it.

`book` is what it knows, `workflow` how it lives, `activities` what is done for it in the worker,
`page` what it shows in the Temporal UI.
"""
