"""The commands, such as ``python -m experiments.run``. The only package that reads Hydra configurations."""
