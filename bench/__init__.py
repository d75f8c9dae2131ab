"""Performance: our worker and its peers, doing the same job on the same broker in one run."""
