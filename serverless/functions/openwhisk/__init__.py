"""The functions as OpenWhisk calls them."""
