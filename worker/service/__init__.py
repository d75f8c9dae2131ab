"""The worker put together: what `consent-worker run` runs, from start to a clean stop."""
