"""The bank, seen from outside: a client that never guesses. `bank.mock` is a bank to run against, and knows nothing of the rest."""
