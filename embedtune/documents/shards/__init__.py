"""Documents on disk: bounded files of docarray's bytes, and the manifest that makes a folder complete."""
