"""Containers as operating-system processes, and the pool that they are in."""
