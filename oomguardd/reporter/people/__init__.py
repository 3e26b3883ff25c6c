"""Who is told of what, and when: people at the machine, hooks and webhooks."""
