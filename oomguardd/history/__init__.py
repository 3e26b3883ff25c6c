"""What happened, on disk: every record, and the readings around each kill."""
