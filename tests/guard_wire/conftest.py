"""The published clients, installed once for every test of this folder."""

from tests.guard_wire.guard_node import installed

__all__ = ["installed"]
