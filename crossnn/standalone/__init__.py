"""Standalone code: one readable file that runs alone, with only one framework installed, and gives the same numbers."""
