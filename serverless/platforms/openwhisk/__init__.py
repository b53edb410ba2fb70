"""Apache OpenWhisk, on a cluster or embedded."""
