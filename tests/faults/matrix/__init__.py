"""The matrix of faults: what breaks, in which kind of transfer, and what comes of it."""
