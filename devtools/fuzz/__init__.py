"""`make fuzz`: everything that reads bytes from outside, against what nobody would write.

A *target* is one such reader with a maker of cases and a check. A check passes or raises: it
catches the errors that its reader documents, and asserts what must hold besides. A case is a Python
literal, made from the seed, the target's name and the case's number alone, so that a finding can be
run again by itself.
"""
