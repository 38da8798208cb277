-- What a run would do, as a hash (64 hexadecimal digits), and which of its plans a person approved.
alter table run add column plan_hash text;
alter table run add column approved_plan text;
