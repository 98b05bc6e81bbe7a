"""Parity: what is compared (subjects), on which inputs, against which truth, and the verdict."""
