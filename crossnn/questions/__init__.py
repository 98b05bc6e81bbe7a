"""Questions: claims of the lectures that a measurement can judge, not a proof.

protocols.py  which protocols there are, what each is given and what it measures; imports nothing heavy
ask.py        one question, asked of one backend: from a cell to an answer
rule.py       from measured numbers to 'holds', 'holds when ...' or 'does not hold here'; condition.py  when
clock.py      seconds of several functions, in shuffled rounds
errors.py     measures of error;  descent.py  paths of optimizers on quadratics and on Rosenbrock's function
depth.py      gradients by layer;  trainings.py  experiments compared;  batches.py  batches of every size
printed.py    numbers that a lecture printed, and the modes of one training
costs.py      what modes, gradients and plain Python cost;  waste.py  who finds work that changes nothing
bugs.py       who names the line with the error

A protocol is a function of an `Ask` that yields cases: what was varied, the repetition, the measured numbers. It knows
no verdict. The row (specs/questions.toml) says by which comparison of these numbers the claim is judged.
"""
