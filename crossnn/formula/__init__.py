"""The formula language: its grammar and vocabulary, and the interpreters that give a formula its meanings."""
