"""`make soak`: random histories of what people choose, and what Adobe must end with.

It shares no code with the worker, so that it can contradict it.
"""
