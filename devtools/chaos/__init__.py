"""`make chaos`: a fleet on a cluster, everything of it killed and stalled, and its promises."""
