"""How accurate the functions of frameworks are, over dense grids of inputs."""
