"""What concerns the operating system: clocks, control groups, processes, files and resources."""
