"""Runs: cells of work, the child processes that do them, and the journal that keeps every result."""
