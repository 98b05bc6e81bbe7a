"""The pytest plugin: the parity of ported functions as a fixture, and markers for backends."""
