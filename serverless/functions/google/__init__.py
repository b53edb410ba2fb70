"""The functions as Google Cloud Functions calls them."""
