-- One accepted payment, written one at a time: the same three rows as `begin` writes, with row security on and with an ordinary
-- sequence instead of the partner's gapless one. What Postgres alone makes of it is the measure for the API.
\set order random(1, 9000000000000000)
BEGIN;
SET LOCAL app.tenant_id = ':tenant';
WITH ids AS (SELECT gen_random_uuid() AS payment, gen_random_uuid() AS attempt, gen_random_uuid() AS event),
p AS (
    INSERT INTO payments (tenant_id, id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, state, created_at)
    SELECT ':tenant', payment, 'bench-' || gen_random_uuid(), 'bench', 100, 'USD', 'VISA', '0002', 'PENDING', now() FROM ids
), a AS (
    INSERT INTO attempts (tenant_id, id, payment_id, verb, idempotency_key, fingerprint, opened_at, lease_until, lease_token, tries,
                          unanswered, sealed_card)
    SELECT ':tenant', attempt, payment, 'AUTHORIZE', gen_random_uuid()::text, '\x00', now(), now() + interval '1 day',
           gen_random_uuid(), 1, 0, decode(repeat('00', 80), 'hex') FROM ids
)
INSERT INTO events (tenant_id, sequence, id, type, occurred_at, payment_id, previous_state, idempotency_key, payment)
SELECT ':tenant', nextval('bench_sequence'), event, 'payment.created', now(), payment, NULL, NULL, '{}' FROM ids;
COMMIT;
