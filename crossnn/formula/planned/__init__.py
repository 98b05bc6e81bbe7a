"""Compiled NumPy: a recorded graph becomes straight-line source that computes in memory made once.

compiled   a function of arrays: recorded, planned and compiled once per signature (guard.py compares signatures)
algebra    operations that need not be there; pooling.py: maxima over windows, and their gradients, in a graph
plan       the type of every value, and the order of operations; images.py: which are done a few images at a time
memory     which values share which memory
source     the text: lines.py, with sums.py, choices.py and blocks.py for what has more than one spelling
buffers    the arrays at run time; sliding.py: convolution; maxima.py: pooling
"""
