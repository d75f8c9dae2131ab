"""Receipts on their way to the broker: gathered, chained, and written until they are confirmed."""
