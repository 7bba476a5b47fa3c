"""Pure functions of arrays that know no market."""
