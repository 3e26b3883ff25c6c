"""Records as structured entries of the systemd journal."""
