"""Makes the runs of an experiment, each in a process of its own, and keeps their folder."""
