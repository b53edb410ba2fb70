"""Entry points. The only room that reads Hydra configurations."""
