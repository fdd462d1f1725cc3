-- The ledger's user for the inbox: it reads the record, and keeps and ends mandates. It may not
-- touch effects or rulings. Run it as the ledger's owner, when a worker has made the tables, and
-- again after an upgrade; it does no harm twice.
--
--   psql -v ON_ERROR_STOP=1 -v password=... -d handrail -f ledger-inbox.sql
begin;
select 'create role handrail_inbox'
 where not exists (select from pg_roles where rolname = 'handrail_inbox') \gexec
alter role handrail_inbox with login password :'password';
grant select, update on handrail_schema to handrail_inbox;
grant select on handrail_rulings, handrail_mandates, handrail_mandate_uses to handrail_inbox;
grant insert on handrail_mandates to handrail_inbox;
grant update (revoked, revoked_by) on handrail_mandates to handrail_inbox;
commit;
