"""Data sets of images: their files, how they are verified, and the folder in which they are kept."""
