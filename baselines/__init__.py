"""The classical side: a bare loop (the lower bound) and a Flower federation."""
