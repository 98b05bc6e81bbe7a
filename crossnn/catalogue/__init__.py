"""Specifications: what the TOML files may say (rows), how they are read (load), and what they mean (build)."""
