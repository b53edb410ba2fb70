"""Trackers that people have: what a run is, its rounds while it goes on, and at the end its figures and tables."""
