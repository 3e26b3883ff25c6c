"""A desktop session's agent: shows what the daemon says on the system bus. It has no rights of its own."""
