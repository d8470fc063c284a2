"""The hosting around the container: doors 2 to 5."""
