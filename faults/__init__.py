"""Studies under fire; see `__main__`."""
