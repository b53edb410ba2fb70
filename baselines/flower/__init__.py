"""Flower as a backend: a normal Flower app, and the adapter that starts a federation to run it."""

from baselines.flower.adapter import run
from baselines.flower.settings import FlowerSettings
from baselines.flower.startup import FlowerError

__all__ = ["FlowerError", "FlowerSettings", "run"]
