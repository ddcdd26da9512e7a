-- What workers ask for each batch of webhooks and normalizations, as functions: their connections have every statement planned
-- anew, which for these took as long as running them. A function keeps its plan, and may only make the one that is right
-- whatever is known of the tables: a few rows, each by its key.

-- Deliveries that wait, with their endpoints as they are at this moment.
create function webhook_deliveries_due(ids uuid[])
returns table (id uuid, endpoint_id uuid, event_id uuid, payload text, url text, scheme text, secret bytea, old_secret bytea, failing boolean)
language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
    return query
    select d.id, d.endpoint_id, d.event_id, d.payload, e.url, e.scheme, e.secret,
           case when e.old_secret_until > now() then e.old_secret end, e.failing_since is not null
    from webhook_deliveries d left join webhook_endpoints e on e.id = d.endpoint_id and e.disabled_at is null
    where d.id = any(ids) and d.state = 'pending';
end $$;

-- Writes down what became of calls, each an element of the arrays, of deliveries that wait.
create function enter_webhook_attempts(ids uuid[], states text[], ats timestamptz[], millis integer[], statuses smallint[], errors text[], answers bytea[])
returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
    with t as materialized (
        select * from unnest(ids, states, ats, millis, statuses, errors, answers) as t (id, state, at, millis, status, error, answer)
    ), moved as (
        update webhook_deliveries d
        set attempts = d.attempts + 1, state = t.state, finished_at = case when t.state <> 'pending' then now() end
        from t where d.id = t.id and d.state = 'pending'
        returning d.id, d.attempts, t.at, t.millis, t.status, t.error, t.answer
    )
    insert into webhook_attempts (delivery_id, no, at, millis, status, error, answer)
    select id, attempts, at, millis, status, error, answer from moved on conflict do nothing;
end $$;

-- A client's endpoints that want one of these events.
create function webhook_subscribers(client integer, kinds text[])
returns table (id uuid, shape text, events text[]) language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    return query
    select id, shape, events from webhook_endpoints
    where client_id = client and disabled_at is null and events && kinds order by id;
end $$;

-- Requests, each with the version of its client's rules, and the client's own heuristic where that is to be asked.
create function normalizations_wanted(ids uuid[])
returns table (id uuid, client_id integer, date date, description text, amount_minor bigint, currency text, state text, detail text,
               created_at timestamptz, completed_at timestamptz, merchant text, matched text, rule_id uuid, score real, mcc text, category text, wikidata text,
               rules_version bigint, heuristic_url text)
language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
    return query
    select n.id, n.client_id, n.date, n.description, n.amount_minor, n.currency, n.state, n.detail, n.created_at, n.completed_at,
           n.merchant, n.matched, n.rule_id, n.score, n.mcc, n.category, n.wikidata, coalesce(v.version, 0),
           case when s.heuristic = 'external' then s.heuristic_url end
    from normalizations n
    left join normalization_versions v on v.client_id = n.client_id
    left join client_settings s on s.client_id = n.client_id
    where n.id = any(ids);
end $$;

-- Answers requests, each an element of the arrays, or says why there is no answer.
create function answer_normalizations(ids uuid[], states text[], details text[], merchants text[], matches text[], rule_ids uuid[], scores real[], mccs text[], categories text[], wikidatas text[])
returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    update normalizations n set state = a.state, detail = a.detail, merchant = a.merchant, matched = a.matched,
        rule_id = a.rule_id, score = a.score, mcc = a.mcc, category = a.category, wikidata = a.wikidata, completed_at = now()
    from unnest(ids, states, details, merchants, matches, rule_ids, scores, mccs, categories, wikidatas)
         as a (id, state, detail, merchant, matched, rule_id, score, mcc, category, wikidata)
    where n.id = a.id;
end $$;

-- An answer changes no column of an index. Where its page has room for it, it needs no new entry in either of them.
alter table normalizations set (fillfactor = 55);
