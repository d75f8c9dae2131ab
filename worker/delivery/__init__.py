"""The way of an event through the worker, and the policy of its retries."""
