"""How a provider spends on training: one rule a file, named in YAML by `kind`."""
