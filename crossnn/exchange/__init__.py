"""Parameters and optimizer states that travel between frameworks."""
