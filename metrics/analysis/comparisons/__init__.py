"""Runs compared by system, platform, client and topology."""
