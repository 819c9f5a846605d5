"""Bytes of images and meshes, checked. Only this package imports Pillow and trimesh to read what is foreign."""
