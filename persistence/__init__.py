"""All SQL, as functions that take a transaction first. Row security, locks and unique keys live in Postgres; so do their tests."""
