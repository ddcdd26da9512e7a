-- how a client's bills look: {"logo": a data URL, "accent": "#rrggbb"}
alter table client_settings add column branding jsonb not null default '{}';
