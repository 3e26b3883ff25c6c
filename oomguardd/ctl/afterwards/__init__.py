"""What has happened: `history`, `show`, `report`, and `decode` for the kernel's own reports."""
