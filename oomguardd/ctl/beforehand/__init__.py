"""What would happen: `rank`, `explain` and `check`, with the daemon's own judgement."""
