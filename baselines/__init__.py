"""The classical side of the comparison: a bare loop, which is the lower bound, and a Flower federation."""
