"""The same work on Handrail and on what else people build durable agents with.

`python -m benchmarks.comparison [--quick] [--json FILE]`. Each contender runs in an environment of
its own, with a server or a database of its own; they take turns. Programs of contenders are in
`project/`, and in `foreign/` where their packages are none of this repository's.
"""
