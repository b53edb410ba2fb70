"""The functions as OpenFaaS calls them."""
