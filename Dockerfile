# One image for everything of ours: the API, its worker, the commands for staff, and the mock bank. The first argument says which:
# `serve`, `work`, `migrate`, `partners`, `keys`, `bank`, `demo`. Settings come from the environment; none is built in.
FROM python:3.13-slim

# A user without a home, a shell or a password. The number is fixed, so that volumes keep their owner over new images.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin partner-api \
 && mkdir /data && chown partner-api:partner-api /data

WORKDIR /app

# Before the code: a change of the code reuses this layer. Only wheels, each of them known by its hash.
COPY deploy/requirements.lock deploy/requirements.lock
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --only-binary :all: --require-hashes -r deploy/requirements.lock

# The packages lie beside each other, as in the repository, and are found by PYTHONPATH: building a wheel would need a builder
# that is in no lock. Owned by root, so that the process can't change its own code.
COPY app app
COPY bank bank
COPY domain domain
COPY gateway gateway
COPY persistence persistence
COPY resolvers resolvers
COPY schema schema
RUN python -m compileall -q .

ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER partner-api
ENTRYPOINT ["python", "-m", "app"]
CMD ["--help"]
