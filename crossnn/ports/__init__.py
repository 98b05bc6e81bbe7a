"""Ported functions of anyone's own: do they compute the same, and where do they part first?"""
