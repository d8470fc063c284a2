"""Cog containers in the place of a model of this machine."""
