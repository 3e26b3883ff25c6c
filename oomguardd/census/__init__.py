"""Candidates in full: everything that a rule, a policy or a person may want to know about a process."""
