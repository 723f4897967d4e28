-- Substring search over the paths of the history. The index holds no text of its own (external content) and no
-- positions; it is filled after the fact by history().index_pending(), because splitting paths into trigrams costs
-- several times as much as storing the rows, and a sync must not wait for it.
CREATE VIRTUAL TABLE history_text USING fts5 (
    path_text,
    content = 'history',
    content_rowid = 'id',
    tokenize = 'trigram',
    detail = 'none',
    columnsize = 0
);
