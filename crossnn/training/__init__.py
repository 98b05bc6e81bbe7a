"""Training: data, the experiment as functions, and the loop that every backend runs alike."""
