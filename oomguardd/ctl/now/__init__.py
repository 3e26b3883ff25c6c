"""How things stand: `status`, and the client of the control socket."""
