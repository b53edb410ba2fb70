"""MNIST: where it is fetched from, how it is verified, and its arrays."""
