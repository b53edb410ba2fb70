"""OpenFaaS, behind a gateway of its own or embedded."""
