"""Pure functions of arrays that know no market.

Numba keeps what it compiles beside the file of the function that Python calls, and looks whether that file has changed,
not those of the functions compiled into it. After editing one of these, delete `__pycache__/*.nbi`; tests do it by
themselves.

What compiles fast: loops instead of array expressions, which bring the ways of broadcasting along with their messages;
and few levels, for a function that calls others is optimised with all that they and theirs are made of.
"""
