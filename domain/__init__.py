"""The rules: pure, without I/O, clock or framework. Everything above stands on them; they stand on nothing."""
