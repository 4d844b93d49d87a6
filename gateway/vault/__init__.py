"""The vault: card numbers are sealed under a data key of their partner, and the data keys are wrapped by a master key from outside.

`vault.py` gives data keys to whoever seals or opens, `data_key.py` is what a seal looks like, `key_service.py` the seam to what keeps
the master keys, `data_keys.py` and `master_keys.py` make and agree on them, `rotation.py` exchanges them.

A stolen database holds sealed numbers and wrapped keys; a stolen row opens nowhere but in its own place.
"""
