"""What a person sees of documents that are images or meshes."""
