"""Claims as printed on slides: read, judged by the oracle, with the simplest counterexample."""
