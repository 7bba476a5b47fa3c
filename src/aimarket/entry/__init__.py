"""Who may come into the market: one rule a file, named in YAML by `kind`. The market has one of them."""
