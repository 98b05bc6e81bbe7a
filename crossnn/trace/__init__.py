"""The imperative view: what runs, one operation after the other, with its value, gradient, time and size."""
