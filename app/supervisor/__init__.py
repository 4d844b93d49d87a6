"""What `partner-api up` does: starts the whole system as child processes, keeps it alive and stops it in order."""
