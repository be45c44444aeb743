"""Debian's packages as pinned inputs: locks, fetching, unpacking, and build roots without network."""
