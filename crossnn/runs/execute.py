"""The one function that does a cell's work, wherever the cell runs: here, in a child process, or on a cluster."""

from __future__ import annotations

from crossnn.runs.cell import Cell, Record, Training


def run_cell(cell: Cell) -> list[Record | Training]:
    """The records of a cell; a pure function of it."""
    if cell.task == "check":
        from crossnn.parity.check import check

        return list(check(cell))
    from crossnn.training.train import train

    return train(cell)
