"""Market Lab: a page for a class, served from this machine and drawn from runs of the market itself."""
