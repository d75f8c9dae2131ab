"""The dead letters in the console: what there is, what is asked for, and the acts that run."""
