"""From a command line to frozen settings: the only package that reads Hydra configurations."""
