"""What is learnt: data, partition, model, local training, averaging, evaluation.

This room knows no other: every backend calls it, so that the learning is the same everywhere.
"""
