"""Who may enter the market: one rule a file, named in YAML by `kind`."""
