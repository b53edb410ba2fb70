"""What is learnt: data, partition, model, local training, averaging, evaluation.

This package imports no other of the project but ``machine``: every backend calls it, so that the learning is the same
everywhere.
"""
