"""The checker checked: mutants of every specification, and which of them the checks find."""
