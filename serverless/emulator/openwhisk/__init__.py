"""The embedded server's OpenWhisk: entities, activations, and who runs them."""
