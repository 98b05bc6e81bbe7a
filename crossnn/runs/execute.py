"""The one function that does a cell's work, wherever the cell runs: here, in a child process, or on a cluster."""

from __future__ import annotations

from crossnn.runs.cell import Answer, Cell, Record, Training


def run_cell(cell: Cell) -> list[Record | Training | Answer]:
    """The records of a cell; a pure function of it."""
    if cell.task == "check":
        from crossnn.parity.check import check

        return list(check(cell))
    if cell.task == "question":
        from crossnn.questions.ask import ask

        return [*ask(cell)]
    from crossnn.training.train import train

    return [*train(cell)]
