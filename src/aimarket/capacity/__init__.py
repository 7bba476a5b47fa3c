"""How a provider orders GPUs: one rule a file, named in YAML by `kind`."""
