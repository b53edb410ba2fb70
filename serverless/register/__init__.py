"""Who the clients are, and what each was last asked; kept in a database."""
