"""One function per pipeline step; the only code a component calls."""

from embedtune.steps.surroundings import take_surroundings

# Here, for numpy, pyarrow and torch read how many threads to start when they are imported, which the steps do.
take_surroundings()
