-- What a sync found the last time its second schedule compared its tables (JSON).
alter table sync add column last_look text;
