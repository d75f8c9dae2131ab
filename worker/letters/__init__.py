"""Work on the dead letters: passes over them, and replays and discards with canaries first."""
