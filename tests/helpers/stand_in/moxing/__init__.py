"""A stand-in for the moxing of ModelArts, whose addresses obs://... are folders below $MOXING_ROOT."""

from moxing import file

__all__ = ["file"]
