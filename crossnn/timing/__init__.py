"""Timing: what is timed, how a visit measures, who is visited when, and what the numbers say.

work.py       a function, its inputs, and the truth about its output
phases.py     from a specification and a phase to that; subjects.py: layers, losses, activations, networks at real sizes
plan.py       from names and options to the cells of a timing; modes.py: what a third party's adapter is asked for that
contender.py  one way to do that work: our formula, the framework's own, or a user's code
execute.py    what a worker process does for a cell: prepare and judge it, or take times
visit.py      the clock, and everything that is held still around it
guard.py      how much others disturb the machine
ceilings.py   what the machine reaches at best
rounds.py     one process a backend and mode (workers.py), visited in shuffled rounds, one at a time
results.py    medians, intervals, ratios and ranks, from the records
"""
