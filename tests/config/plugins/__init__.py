"""Plugins as somebody else would write them: named in a file by their dotted names."""
