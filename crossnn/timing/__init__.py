"""Timing: what is timed, how a visit measures, who is visited when, and what the numbers say.

work.py       a specification and a phase -> functions, inputs, and the truth about the output
contender.py  one way to do that work: our formula, the framework's own, or a user's code
execute.py    what a worker process does for a cell: prepare and judge it, or take times
visit.py      the clock, and everything that is held still around it
guard.py      how much others disturb the machine
ceilings.py   what the machine reaches at best
rounds.py     one process a backend and mode, visited in shuffled rounds, one at a time
results.py    medians, intervals, ratios and ranks, from the records
"""
