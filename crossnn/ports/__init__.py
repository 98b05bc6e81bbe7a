"""Ported functions of anyone's own: do they compute the same, and if not, what is the cause?"""
