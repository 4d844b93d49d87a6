# `make test` is `python3 dev.py test`; everything is in dev.py, which needs no make.
.PHONY: run demo test check bench chaos clean lock
run demo test check bench chaos clean lock:
	@python3 dev.py $@
