"""The tables, as SQLAlchemy knows them: for queries that are put together at run time. A test compares them with the migrations."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, JSONB, TIMESTAMP, UUID

metadata = MetaData()
_Time = TIMESTAMP(timezone=True)

partners = Table(
    "partners",
    metadata,
    Column("id", UUID(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("tier", Text, nullable=False),
    Column("suspended_at", _Time),
    Column("allowed_origins", ARRAY(Text)),
    Column("sandbox_of", UUID()),
    Column("cards_per_user", Integer, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("external_id", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("metadata", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
)

cards = Table(
    "cards",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("user_id", UUID(), nullable=False),
    Column("kind", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("expiry_month", Integer, nullable=False),
    Column("expiry_year", Integer, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("created_at", _Time, nullable=False),
    Column("state_since", _Time, nullable=False),
    Column("limit_per_transaction", BigInteger),
    Column("limit_per_day", BigInteger),
    Column("limit_per_month", BigInteger),
)

card_transitions = Table(
    "card_transitions",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("card_id", UUID(), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("before", Text),
    Column("after", Text, nullable=False),
    Column("reason", Text),
    Column("actor", Text, nullable=False),
    Column("api_key_id", UUID()),
    Column("at", _Time, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("shown", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("revoked_at", _Time),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_by", UUID()),
    Column("expires_at", _Time),
    Column("networks", ARRAY(CIDR), nullable=False),
    Column("last_used_at", _Time),
    Column("replaced_by", UUID()),
)

payments = Table(
    "payments",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("card_brand", Text, nullable=False),
    Column("card_last_four", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("authorized_at", _Time),
    Column("captured_at", _Time),
    Column("voided_at", _Time),
    Column("refunded_at", _Time),
    Column("declined_at", _Time),
    Column("expired_at", _Time),
    Column("bank_authorization", Text),
    Column("bank_capture", Text),
    Column("bank_void", Text),
    Column("bank_refund", Text),
    Column("decline_code", Text),
    Column("decline_message", Text),
    Column("review_reasons", ARRAY(Text), nullable=False),
    Column("card_id", UUID()),
)

attempts = Table(
    "attempts",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("payment_id", UUID(), nullable=False),
    Column("verb", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("opened_at", _Time, nullable=False),
    Column("lease_until", _Time, nullable=False),
    Column("lease_token", UUID(), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("unanswered", Integer, nullable=False),
    Column("sealed_card", LargeBinary),
    Column("closed_at", _Time),
    Column("resolution", JSONB),
)

remembered_answers = Table(
    "remembered_answers",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("answer", JSONB),
    Column("created_at", _Time, nullable=False),
)

event_sequences = Table(
    "event_sequences",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("forgotten", BigInteger, nullable=False),
    Column("forgotten_until", _Time),
    Column("forgotten_id", UUID()),
)

events = Table(
    "events",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("id", UUID(), nullable=False),
    Column("type", Text, nullable=False),
    Column("occurred_at", _Time, nullable=False),
    Column("payment_id", UUID()),
    Column("previous_state", Text),
    Column("idempotency_key", Text),
    Column("payment", JSONB),
    Column("subject_kind", Text),
    Column("subject_id", UUID()),
    Column("subject", JSONB),
)

reconciliation_runs = Table(
    "reconciliation_runs",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("trigger", Text, nullable=False),
    Column("started_at", _Time, nullable=False),
    Column("since", _Time, nullable=False),
    Column("phase", Text, nullable=False),
    Column("cursor_at", _Time),
    Column("cursor_id", UUID()),
    Column("lease_until", _Time, nullable=False),
    Column("lease_token", UUID(), nullable=False),
    Column("finished_at", _Time),
    Column("checked", BigInteger, nullable=False),
    Column("agreed", BigInteger, nullable=False),
    Column("repaired", BigInteger, nullable=False),
    Column("flagged", BigInteger, nullable=False),
    Column("unanswered", BigInteger, nullable=False),
    Column("unanswered_since", _Time),
)

discrepancies = Table(
    "discrepancies",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("run_id", UUID(), primary_key=True),
    Column("payment_id", UUID(), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("done", Text, nullable=False),
    Column("ours", Text, nullable=False),
    Column("the_banks", Text, nullable=False),
    Column("found_at", _Time, nullable=False),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("at", _Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("payment_id", UUID()),
    Column("note", Text, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("sequence", BigInteger, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("api_key_id", UUID()),
    Column("address", Text),
    Column("request_id", Text),
    Column("subject", Text),
    Column("attempt_id", UUID()),
    Column("idempotency_key", Text),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

usage_by_day = Table(
    "usage_by_day",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("key_id", UUID(), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("payments", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
)

usage_drains = Table(
    "usage_drains",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("drained_at", _Time, nullable=False),
)

master_keys = Table(
    "master_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("check_value", LargeBinary, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("retired_at", _Time),
)

data_keys = Table(
    "data_keys",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master_key_id", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("superseded_at", _Time),
)

card_numbers = Table(
    "card_numbers",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("card_id", UUID(), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("key_version", Integer, nullable=False),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("types", ARRAY(Text)),
    Column("shape", Text),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("saved_by", UUID(), nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
    Column("overlap_until", _Time),
    Column("disabled_at", _Time),
    Column("disabled_why", Text),
    Column("deleted_at", _Time),
    Column("slots", JSONB, nullable=False),
    Column("trips", Integer, nullable=False),
    Column("open_until", _Time),
    Column("is_probing", Boolean, nullable=False),
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("endpoint_id", UUID(), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("good_until", _Time),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("endpoint_id", UUID(), nullable=False),
    Column("event_id", UUID()),
    Column("type", Text),
    Column("state", Text, nullable=False),
    Column("due_at", _Time, nullable=False),
    Column("leased_until", _Time),
    Column("lease_token", UUID()),
    Column("attempts", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("ended_at", _Time),
    Column("dead_why", Text),
    Column("log", JSONB, nullable=False),
)

issued_cards = Table(
    "issued_cards",
    metadata,
    Column("tenant_id", UUID(), primary_key=True),
    Column("card_id", UUID(), primary_key=True),
    Column("user_id", UUID(), nullable=False),
    Column("opened_at", _Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("api_key_id", UUID(), nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("ask_again_at", _Time),
    Column("bank_reference", Text),
    Column("revealed_at", _Time),
)
