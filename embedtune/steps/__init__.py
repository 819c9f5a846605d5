"""One function per pipeline step; the only code a component calls."""
