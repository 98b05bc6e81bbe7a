"""Reports: what a run folder holds, as Markdown and as one HTML page."""
