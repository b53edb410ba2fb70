"""What a round is made of, which clients it selects, and when it is closed."""
