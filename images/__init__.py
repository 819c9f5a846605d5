"""The container images: `make images` builds them; README.md beside this file says how and what is in them."""
