"""What the model costs, against its peers and by its size: `python -m benchmarks` from the root of a checkout."""
