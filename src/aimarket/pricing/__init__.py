"""How a provider prices: one rule a file, named in YAML by `kind`."""
