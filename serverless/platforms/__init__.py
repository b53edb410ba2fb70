"""FaaS platforms: one folder each, with the same files."""
