"""What was recorded, held against itself: files by their hashes, tables by an accounting of its own.

Nothing here calls what the market measures or checks itself by; the identities are reckoned anew from the tables.
"""
