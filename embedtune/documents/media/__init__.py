"""Images and meshes: loaded from their addresses, checked, and brought into one form."""
