"""Graphs as anyone's engine shows them, drawn."""
