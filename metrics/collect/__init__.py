"""What is measured beside the work, and the tables that it is written into."""
