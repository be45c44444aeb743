"""The kernel of the image: a configuration, and how it is built from Debian's source with pinned tools."""
