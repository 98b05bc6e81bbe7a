"""Training: the loop that every backend runs alike, the reference curve, and the verdict on a curve."""
