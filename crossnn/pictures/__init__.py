"""Pictures as SVG text: curves, contours, paths and boundaries, drawn without any library."""
