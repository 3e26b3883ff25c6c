"""The control socket: varlink, for `oomguardctl status` and whoever else asks."""
