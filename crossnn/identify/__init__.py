"""Which formula a given function, loss or optimizer computes, found by measurement."""
