"""The figures of the two published works, with their numbers beside ours."""
