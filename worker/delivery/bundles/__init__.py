"""Parked events that travel together in one message."""
