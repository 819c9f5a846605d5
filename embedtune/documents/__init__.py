"""Rows become grouped, split Documents in shards."""

import os
import tempfile

# docarray 0.21 imports a client of a cloud that is gone; at its import it makes a folder in the home folder, which may
# not be writable.
os.environ.setdefault("JINA_HUB_ROOT", os.path.join(tempfile.gettempdir(), f"jina-{os.getuid()}"))
