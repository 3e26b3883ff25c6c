"""A real guard, armed, in a pid namespace of its own: whoever it kills there is ours."""
