"""Fitting parameters to target moments by the simulated method of moments (McFadden, 1989; Duffie and Singleton, 1993).

`targets` reads what is to be met and what may be moved, `statistics` measures it in recorded tables, `distance` says
how far off a market is and how well its parameters are known, `running` runs markets, `search` looks for the best,
`answer` tells what came of it.
"""
