"""Why a ported function departs: known causes, each tried until one makes it agree; hypotheses.py has their order."""
