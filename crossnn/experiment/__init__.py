"""Experiments: data, and everything about a training run that does not depend on a backend."""
