-- How many rows an own segment has: counted once, while its filter is made.
alter table row_segments
    -- own: when it was indexed, without those that lost their key since; null: it was not counted then
    add column rows bigint;
