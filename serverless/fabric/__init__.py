"""One federation on several platforms: its groups of clients, and where each group runs."""
