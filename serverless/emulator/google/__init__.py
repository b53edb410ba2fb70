"""The embedded server's API of Google Cloud Functions."""
