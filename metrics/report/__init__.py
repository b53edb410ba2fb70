"""The comparison and the report, as text for the terminal and as Markdown."""
