"""One pipeline step; see component.py."""
