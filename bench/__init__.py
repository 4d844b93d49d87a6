"""Benchmarks that print ratios: two figures of one run, on one machine, so that the machine cancels out."""
