"""What each framework does by default, concept by concept, measured."""
