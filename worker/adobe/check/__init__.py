"""Checks an integration against the customer's set-up at Adobe. Reads only.

`platform_reads` asks Adobe, `question_order` asks in order, and what was read is a `SetUp`. The
modules with `judge_` functions are pure: what was read in, lines out.
"""
