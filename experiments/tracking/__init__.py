"""Trackers that people have: what a run is, its rounds while it goes on, and at the end its figures and tables."""

TRACKERS = {  # a tracker is a module with a class ``RunTracker``, and a line here
    "mlflow": "experiments.tracking.mlflow",
    "tensorboard": "experiments.tracking.tensorboard",
}
