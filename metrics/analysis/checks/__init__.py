"""Whether tables can be believed: the laws that they obey, and whether weights agree."""
