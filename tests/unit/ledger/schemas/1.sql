create table handrail_schema (version {serial} not null, primary key (version));
create table handrail_effects (
    key varchar(400) not null, case_id varchar(300) not null, agent varchar(100) not null,
    step varchar(100) not null, digest varchar(64) not null, action text not null,
    policy varchar(200) not null, state varchar(20) not null, owner varchar(200) not null,
    deadline float not null, begun float not null, ended float, receipt text, error text,
    primary key (key)
);
create index ix_handrail_effects_case_id on handrail_effects (case_id);
create index handrail_effects_window on handrail_effects (agent, step, begun);
insert into handrail_schema values (1);
insert into handrail_effects values (
    'a:1/pay/1', 'a:1', 'a', 'pay', 'dddd', '{"amount": "10"}', 'a v1', 'done', 'one',
    1767270615.123456, 1767270610.5, 1767270611.5,
    '{"key":"a:1/pay/1","step":"pay","digest":"dddd","at":"2026-01-01T12:30:11Z","result":7}', null
);
insert into handrail_effects values (
    'a:2/pay/1', 'a:2', 'a', 'pay', 'eeee', '{"amount": "10"}', 'a v1', 'intended', 'one',
    1767270615.123456, 1767270610.5, null, null, null
);
