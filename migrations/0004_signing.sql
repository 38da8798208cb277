-- Signed connections: the key of the present generation, sealed, and with which key the peer signs receipts.
-- Connections made before have none of these: their peers show the token's hash.
alter table connection add column root_key text;
alter table connection add column key_generation bigint;
alter table connection add column receipt_key text;

-- With which key this site signs receipts: the sealed seed of an Ed25519 key.
alter table site add column receipt_key text;
