"""An emulator of the parts of Adobe that the worker talks to, for local use and tests.

Built to Adobe's documented behaviour; nothing here was compared with a live organization.
"""
