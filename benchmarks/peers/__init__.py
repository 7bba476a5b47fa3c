"""The same month of a market, written as others would write it; see `benchmarks.month` for what is to be done."""
