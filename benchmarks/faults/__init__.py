"""What a cluster of several nodes does when parts of it go: `python -m benchmarks.faults`."""
