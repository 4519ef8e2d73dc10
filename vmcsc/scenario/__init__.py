"""Scenarios: the tests that a policy carries, bound, made into programs, run on the machine, and judged."""
