"""The lane of each integration: what waits for it, in which order it goes, how much at once."""
