"""The learning task: data, partition, model, local training, averaging and evaluation.

Every backend calls this package, so that the learning is the same everywhere. Of the other packages it imports
``machine`` only.
"""
