"""The unprivileged process that tells others what the guard did. It may block; the guard does not notice."""
