"""Figures, drawn with matplotlib from the tables and traces the campaign wrote."""
