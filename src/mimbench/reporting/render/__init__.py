"""A report as HTML, Markdown, LaTeX, CSV and on a terminal."""
