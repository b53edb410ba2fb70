"""Whether tables can be believed: the rules that they follow, and whether weights agree."""
