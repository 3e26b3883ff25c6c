"""oomguardctl: see before it happens. One file a verb."""
