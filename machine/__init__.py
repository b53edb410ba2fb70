"""The operating system, for all packages: clocks, control groups, processes, files, credentials and resources.

What more than one package needs of the system is written once, here. This package imports no other one of the project.
"""
