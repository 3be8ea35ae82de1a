"""Compare with other tools: `python -m benchmarks`. Prints; asserts no time."""
