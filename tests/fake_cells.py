"""Stand-ins for `run_cell` that misbehave in every way a framework can; named to workers by dotted path."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from crossnn.runs.cell import Cell, Record, Training, Worst


def equal(cell: Cell, message: str = "") -> list[Record]:
    return [
        Record(
            spec=cell.spec, kind="activation", backend=cell.backend, implementation=cell.implementation, mode=cell.mode,
            dtype=cell.dtype, device=cell.device, quantity="value", verdict="EQUAL", r=1.0, message=message,
        )
    ]  # fmt: skip


def run(cell: Cell) -> list[Record]:
    """Behaves as the spec's name says."""
    match cell.spec.split("-")[0]:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            print("glorious last words", file=sys.stderr, flush=True)
            os.abort()
        case "exit":
            os._exit(7)
        case "leave":
            sys.exit(3)
        case "hang":
            print("still thinking", file=sys.stderr, flush=True)
            time.sleep(600)
        case "slow":
            time.sleep(0.2)
        case "raise":
            raise ValueError("a bad shape")
        case "memory":
            raise MemoryError("4 TiB")
        case "print":
            print('{"records": "noise"}')
            os.write(1, b"noise from C\n")
        case "pid":
            return equal(cell, str(os.getpid()))
        case "environment":
            return equal(cell, "|".join(os.environ[k] for k in ("OMP_NUM_THREADS", "PJRT_NPROC", "PYTHONHASHSEED")))
        case "log":
            with Path(os.environ["CROSSNN_TEST_LOG"]).open("a") as log:
                log.write(cell.spec + "\n")
        case "child":
            pid = os.fork()
            if pid == 0:
                time.sleep(600)
            return equal(cell, str(pid))
    return equal(cell)


def run_cli(cell: Cell) -> list[Record | Training]:
    """For the command line, whose names are those of the catalogue: relu is wrong, elu crashes, fit-line hangs."""
    if cell.task == "train":
        if cell.spec == "fit-line":
            time.sleep(600)
        return [
            Training(
                spec=cell.spec, backend=cell.backend, mode=cell.mode, dtype=cell.dtype, device=cell.device, seed=0,
                spec_sha="", loss=(1.0, 0.5), held_out_loss=(1.0, 0.6), metrics={"accuracy": (0.5, 1.0)},
                first_step_seconds=0.1, step_seconds=0.01, seconds=1.0, steps=20, curve_r=1.0,
            )
        ]  # fmt: skip
    if cell.spec == "elu":
        os.kill(os.getpid(), signal.SIGKILL)
    if cell.spec == "environment":
        return [*equal(cell, "|".join(os.environ[k] for k in ("OMP_NUM_THREADS", "PJRT_NPROC", "PYTHONHASHSEED")))]
    if cell.spec == "relu":
        wrong = {"quantity": "gradient", "verdict": "FORMULA", "r": 4e15, "digits": 0.0, "call": "torch.relu"}
        worst = Worst((0, 2), "1.0", "2.0")
        return [msgspec.structs.replace(one, **wrong, worst=worst, message="the sign") for one in equal(cell)]
    return [*equal(cell)]
