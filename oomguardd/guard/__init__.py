"""The privileged process: sense, decide, kill, follow the victim to its death. Nothing here may wait."""
