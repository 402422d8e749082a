"""The cheapest way to pair the rows of a table with its columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]


def assign(costs: npt.ArrayLike) -> tuple[Indices, Indices]:
    """Pairs min(N, M) rows and columns of an (N, M) table so that their costs sum to the least.

    Returns rows, rising, and the column of each. Costs are finite (ValueError). Shortest augmenting
    paths, after Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse
    linear assignment problems" (1987): for each row a Dijkstra search over reduced costs, its inner
    loop in numpy; O(N^2 M).
    """
    table = np.asarray(costs, np.float64)
    if table.ndim != 2:
        raise ValueError(f"costs are a table (N, M), not {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("costs must be finite")
    if table.shape[0] > table.shape[1]:
        columns, rows = assign(table.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    column_of = _columns(table)
    return np.arange(len(table)), column_of


def _columns(table: npt.NDArray[np.float64]) -> Indices:
    """The column of each row; there are at least as many columns as rows."""
    count, width = table.shape
    u, v = np.zeros(count), np.zeros(width)
    row_of = np.full(width, -1)
    column_of = np.full(count, -1)
    for start in range(count):
        distance = np.full(width, np.inf)
        before = np.full(width, -1)
        done = np.zeros(width, np.bool_)
        row, shortest = start, 0.0
        visited = [start]
        while True:
            reached = shortest + table[row] - u[row] - v
            closer = ~done & (reached < distance)
            distance[closer], before[closer] = reached[closer], row
            column = int(np.where(done, np.inf, distance).argmin())
            shortest = float(distance[column])
            done[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
            visited.append(row)
        u[start] += shortest
        for other in visited[1:]:
            u[other] += shortest - distance[column_of[other]]
        v[done] -= shortest - distance[done]
        _turn(column, start, before, row_of, column_of)
    return column_of.astype(np.intp)


def _turn(column: int, start: int, before: Indices, row_of: Indices, column_of: Indices) -> None:
    """Along the path back to `start` each row takes the column that was just reached."""
    while True:
        row = int(before[column])
        row_of[column] = row
        column_of[row], column = column, int(column_of[row])
        if row == start:
            return
