"""Whether an experiment would run on a platform: looked at before it does, with what to change if not."""
