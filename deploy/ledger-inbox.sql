-- The ledger's user for the inbox: it reads the record, keeps and ends mandates, stops agents, and
-- keeps what people say of reviews and incidents. It may not touch effects, verdicts or rulings,
-- lift a stop, put anything before people, or change or remove an answer that was given. Run it
-- as the ledger's owner, when a worker has made the tables, and again after an upgrade; it does no
-- harm twice.
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
grant select on handrail_effects, handrail_verdicts to handrail_inbox;
grant select on handrail_reviews, handrail_review_answers, handrail_incidents to handrail_inbox;
grant insert on handrail_review_answers to handrail_inbox;
grant update (answer, "by", answered, note, proof) on handrail_reviews to handrail_inbox;
grant update (closed, closed_by, closed_why) on handrail_incidents to handrail_inbox;
grant select, insert on handrail_orders to handrail_inbox;
-- What is kept of cases, for the figures and pages of owners.
grant select on handrail_cases, handrail_decisions, handrail_questions, handrail_errors,
    handrail_presence, handrail_baselines, handrail_policies, handrail_spending,
    handrail_counters, handrail_counted to handrail_inbox;
grant select, insert on handrail_outcomes to handrail_inbox;
grant update (judged, judged_by, judged_at, judged_why) on handrail_outcomes to handrail_inbox;
-- Made of what was proposed and what people did, and made again by whoever looks at a pilot.
grant select, insert, update (rule), delete on handrail_comparisons to handrail_inbox;
grant select, insert, update on handrail_alerts to handrail_inbox;
-- What came in from outside: `handrail serve` keeps it, people mend, try again and drop it.
grant select, insert on handrail_intake to handrail_inbox;
grant update (state, why, body, headers, raw, requested_by, case_id, ended, ended_by, ended_why)
    on handrail_intake to handrail_inbox;
commit;
