"""Dataset items as they leave: what the query makes of the rows, and the seven formats they are written in."""
