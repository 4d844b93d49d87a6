"""PostgreSQL and Redis out of Python wheels, for a machine that has nothing but Python.

`postgres.EmbeddedPostgres` and `redis.EmbeddedRedis` share one small interface (`embedded.server.Server`): `prepare()`
makes what must be on disk, `command()` is the program to run, `answers()` asks it once whether it is up; `start()` and
`stop()` do all of that for a caller who has no supervisor, as the test suite.
"""
