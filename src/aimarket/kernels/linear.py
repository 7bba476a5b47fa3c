"""Small systems of linear equations, compiled: the same bits on every machine, which a library's are not."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(nogil=True, cache=True, error_model="numpy")
def solve(matrix: Floats, right: Floats) -> Floats:
    """x of A x = b, by elimination with the largest pivot of a column.

    matrix, right : (n, n) and (n,) float; both are written over
    returns       : (n,) float
    raises        : LinAlgError    if the matrix is singular
    source        : Golub and Van Loan (2013), Matrix Computations, 4th ed., section 3.4
    """
    count = len(right)
    for i in range(count):
        best = i
        for j in range(i + 1, count):
            if abs(matrix[j, i]) > abs(matrix[best, i]):
                best = j
        if matrix[best, i] == 0:
            raise np.linalg.LinAlgError("matrix is singular")
        if best != i:
            for n in range(i, count):
                matrix[i, n], matrix[best, n] = matrix[best, n], matrix[i, n]
            right[i], right[best] = right[best], right[i]
        for j in range(i + 1, count):
            ratio = matrix[j, i] / matrix[i, i]
            if ratio != 0:
                for n in range(i + 1, count):
                    matrix[j, n] -= ratio * matrix[i, n]
                right[j] -= ratio * right[i]
    for i in range(count - 1, -1, -1):
        for n in range(i + 1, count):
            right[i] -= matrix[i, n] * right[n]
        right[i] /= matrix[i, i]
    return right
