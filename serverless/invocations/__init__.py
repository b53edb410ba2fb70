"""Pieces of work, the attempts at them, and what becomes of those that fail."""
