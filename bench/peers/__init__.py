"""The contestants besides our own worker, each a small program in its documented best shape.

They run in an environment of their own (constraints-bench.txt) and read what they need from
`bench.peers.job`. A framework that owns the format of its messages publishes one event when it is
called with the argument `publish`, and the benchmark multiplies that message.
"""
