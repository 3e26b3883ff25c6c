"""The machine over time: `record` it, and `simulate` configurations on what was recorded."""
