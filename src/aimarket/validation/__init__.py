"""Known answers reproduced by the running market, or by the very component it uses; see docs/validation.md."""
