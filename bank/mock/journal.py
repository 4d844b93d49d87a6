"""Where the state survives the process: SQLite in WAL, or nowhere.

The rules work on plain dicts in both modes, so there is one set of rules. In SQLite mode each effect is one
transaction, committed before the dicts change: a failed commit leaves both as they were.
"""

import sqlite3
from pathlib import Path
from typing import Any, Final, Protocol

from bank.mock.accounts import Account
from bank.mock.errors import BankStateError
from bank.mock.records import Capture, Hold, HoldState, IssuedCard, Refund, State, StoredAnswer, Void

# A bank that was just killed may take a moment to let go of its file; longer, and somebody else has it.
_LOCK_WAIT_S: Final = 1.0
# A checkpoint syncs to the disk while everybody waits; at SQLite's 1,000 pages a load test has one every 0.1 s.
_CHECKPOINT_PAGES: Final = 10_000

_TABLES: Final = """
create table if not exists life (generation integer not null);
create table if not exists account (fingerprint text primary key, last4 text not null, balance integer not null,
    available integer not null) without rowid;
create table if not exists hold (authorization_id text not null, fingerprint text not null, amount integer not null,
    created_us integer not null, expires_us integer not null, key text not null, state text not null);
create unique index if not exists hold_id on hold (authorization_id);
create table if not exists capture (capture_id text not null, authorization_id text not null,
    amount integer not null, captured_us integer not null, key text not null, refunded integer not null);
create unique index if not exists capture_id on capture (capture_id);
create table if not exists void (void_id text not null, authorization_id text not null,
    voided_us integer not null, key text not null);
create table if not exists refund (refund_id text not null, capture_id text not null,
    amount integer not null, refunded_us integer not null, key text not null);
create table if not exists answer (key text not null, path text not null, body blob not null,
    reference text not null, stored_ns integer not null);
create unique index if not exists answer_key on answer (key, path);
create table if not exists issued (card_id text not null, issued_us integer not null, key text not null);
create unique index if not exists issued_key on issued (key);
"""
_EFFECT_TABLES: Final = ("account", "hold", "capture", "void", "refund", "answer", "issued")
_SAVE_ACCOUNT: Final = "insert or replace into account values (?, ?, ?, ?)"
_SAVE_STATE: Final = "update hold set state = ? where authorization_id = ?"

Statement = tuple[str, tuple[Any, ...]]


class Journal(Protocol):
    """Each method is one committed transaction, done before it returns, or raises `sqlite3.Error`."""

    def next_generation(self) -> int:
        """Count one more life of this state: seeded ids of a second life must differ from the first's."""

    def load(self, state: State) -> None:
        """Fill an empty state with what is stored."""

    def wipe(self) -> None:
        """Forget every effect and every key."""

    def close(self) -> None:
        """Let go of the file."""

    def authorized(self, hold: Hold, balance: int, available: int) -> None:
        """A new hold, and its account's new figures."""

    def captured(self, capture: Capture, balance: int, available: int) -> None:
        """A new capture, its hold captured, and the account's new figures."""

    def voided(self, void: Void, balance: int, available: int) -> None:
        """A new void, its hold voided, and the account's new figures."""

    def refunded(self, refund: Refund, balance: int, available: int) -> None:
        """A new refund, its capture refunded, and the account's new figures."""

    def expiry_moved(self, hold: Hold, expires_us: int) -> None:
        """A hold that expires at another time."""

    def issued(self, card: IssuedCard) -> None:
        """A new card, with the key that made it."""

    def answer_stored(self, answer: StoredAnswer) -> None:
        """A key, in a statement of its own (§1)."""

    def answer_forgotten(self, answer: StoredAnswer) -> None:
        """A key that is past its day."""


class MemoryJournal:
    """Forgets everything, at once: `BANK_STATE=memory`."""

    def __init__(self) -> None:
        self._generation = 0

    def next_generation(self) -> int:
        self._generation += 1
        return self._generation

    def load(self, state: State) -> None: ...
    def wipe(self) -> None: ...
    def close(self) -> None: ...
    def authorized(self, hold: Hold, balance: int, available: int) -> None: ...
    def captured(self, capture: Capture, balance: int, available: int) -> None: ...
    def voided(self, void: Void, balance: int, available: int) -> None: ...
    def refunded(self, refund: Refund, balance: int, available: int) -> None: ...
    def expiry_moved(self, hold: Hold, expires_us: int) -> None: ...
    def issued(self, card: IssuedCard) -> None: ...
    def answer_stored(self, answer: StoredAnswer) -> None: ...
    def answer_forgotten(self, answer: StoredAnswer) -> None: ...


class SqliteJournal:
    """One file, held by one process. WAL with `synchronous=NORMAL` survives kill -9, though not a power cut."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None)
            # Exclusive from the first write on: two banks on one file would each keep half of the truth.
            self._database.execute("pragma locking_mode = exclusive")
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = normal")
            self._database.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            self._database.executescript(_TABLES)
        except OSError as error:
            raise BankStateError(f"BANK_STATE cannot be opened: {error.strerror}.") from error
        except sqlite3.OperationalError as error:
            reason = "another bank is using it" if "locked" in str(error) else str(error)
            raise BankStateError(f"BANK_STATE cannot be opened: {reason}.") from error
        except sqlite3.DatabaseError as error:
            raise BankStateError(f"BANK_STATE is not a bank's state: {error}.") from error

    def next_generation(self) -> int:
        """See `Journal`."""
        row = self._database.execute("select max(generation) from life").fetchone()
        generation: int = (row[0] or 0) + 1
        self._commit(("delete from life", ()), ("insert into life values (?)", (generation,)))
        return generation

    def load(self, state: State) -> None:
        """See `Journal`. An account that is configured no more keeps its effects, and can't be charged."""
        rows = self._database.execute
        for row in rows("select * from issued order by rowid"):
            state.add_issued(IssuedCard(*row))
        accounts = {account.fingerprint: account for account in state.accounts.values()}
        for fingerprint, last4, balance, available in rows("select * from account"):
            retired = Account(last4, "", 1, 1970, balance, available, fingerprint)
            account = accounts.setdefault(fingerprint, retired)
            account.balance, account.available = balance, available
        for row in rows("select * from hold order by rowid"):
            authorization_id, fingerprint, amount, created_us, expires_us, key, held = row
            hold = Hold(authorization_id, accounts[fingerprint], amount, created_us, expires_us, key, held)
            state.holds[authorization_id] = hold
        for capture_id, authorization_id, amount, captured_us, key, refunded in rows("select * from capture order by rowid"):
            hold = state.holds[authorization_id]
            state.captures[capture_id] = Capture(capture_id, hold, amount, captured_us, key, bool(refunded))
        for void_id, authorization_id, voided_us, key in rows("select * from void order by rowid"):
            state.voids[void_id] = Void(void_id, state.holds[authorization_id], voided_us, key)
        for refund_id, capture_id, amount, refunded_us, key in rows("select * from refund order by rowid"):
            state.refunds[refund_id] = Refund(refund_id, state.captures[capture_id], amount, refunded_us, key)
        for row in rows("select * from answer order by stored_ns"):
            answer = StoredAnswer(*row)
            state.answers[answer.key, answer.path] = answer

    def wipe(self) -> None:
        """See `Journal`."""
        self._commit(*((f"delete from {table}", ()) for table in _EFFECT_TABLES))  # noqa: S608 - our own names

    def close(self) -> None:
        """See `Journal`."""
        self._database.close()

    def authorized(self, hold: Hold, balance: int, available: int) -> None:
        """See `Journal`."""
        row = (hold.authorization_id, hold.account.fingerprint, hold.amount, hold.created_us, hold.expires_us)
        self._commit(
            ("insert into hold values (?, ?, ?, ?, ?, ?, ?)", (*row, hold.key, hold.state)),
            _account(hold, balance, available),
        )

    def captured(self, capture: Capture, balance: int, available: int) -> None:
        """See `Journal`."""
        hold = capture.hold
        row = (capture.capture_id, hold.authorization_id, capture.amount, capture.captured_us, capture.key)
        self._commit(
            ("insert into capture values (?, ?, ?, ?, ?, 0)", row),
            _state(hold, "captured"),
            _account(hold, balance, available),
        )

    def voided(self, void: Void, balance: int, available: int) -> None:
        """See `Journal`."""
        row = (void.void_id, void.hold.authorization_id, void.voided_us, void.key)
        self._commit(
            ("insert into void values (?, ?, ?, ?)", row),
            _state(void.hold, "voided"),
            _account(void.hold, balance, available),
        )

    def refunded(self, refund: Refund, balance: int, available: int) -> None:
        """See `Journal`."""
        capture = refund.capture
        row = (refund.refund_id, capture.capture_id, refund.amount, refund.refunded_us, refund.key)
        self._commit(
            ("insert into refund values (?, ?, ?, ?, ?)", row),
            ("update capture set refunded = 1 where capture_id = ?", (capture.capture_id,)),
            _account(capture.hold, balance, available),
        )

    def expiry_moved(self, hold: Hold, expires_us: int) -> None:
        """See `Journal`."""
        self._commit(("update hold set expires_us = ? where authorization_id = ?", (expires_us, hold.authorization_id)))

    def issued(self, card: IssuedCard) -> None:
        """See `Journal`."""
        self._commit(("insert into issued values (?, ?, ?)", (card.card_id, card.issued_us, card.key)))

    def answer_stored(self, answer: StoredAnswer) -> None:
        """See `Journal`. One statement, hence one transaction, without asking for it."""
        row = (answer.key, answer.path, answer.body, answer.reference, answer.stored_ns)
        self._database.execute("insert or replace into answer values (?, ?, ?, ?, ?)", row)

    def answer_forgotten(self, answer: StoredAnswer) -> None:
        """See `Journal`."""
        self._database.execute("delete from answer where key = ? and path = ?", (answer.key, answer.path))

    def _commit(self, *statements: Statement) -> None:
        execute = self._database.execute
        execute("begin immediate")
        try:
            for statement, row in statements:
                execute(statement, row)
            execute("commit")
        except sqlite3.Error:
            if self._database.in_transaction:
                execute("rollback")
            raise


def _account(hold: Hold, balance: int, available: int) -> Statement:
    owner = hold.account
    return _SAVE_ACCOUNT, (owner.fingerprint, owner.last4, balance, available)


def _state(hold: Hold, state: HoldState) -> Statement:
    return _SAVE_STATE, (state, hold.authorization_id)
