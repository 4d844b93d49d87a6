"""`python -m app` is `partner-api`."""

from app.cli import main

main()
