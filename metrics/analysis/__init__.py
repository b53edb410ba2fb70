"""What the tables say: labels, key figures and statistics."""
