"""Benchmarks: everything is compared side by side in one run, because these machines are shared and noisy."""
