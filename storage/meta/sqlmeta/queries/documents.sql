-- name: document_of
SELECT number, updated, size, pulls, terms FROM documents WHERE manifest = ?1;

-- name: document_to_put
SELECT m.id, coalesce(d.number, 0), coalesce(d.updated, 0), coalesce(d.size, 0), coalesce(d.pulls, t.count, 0), d.terms
FROM manifests m LEFT JOIN documents d ON d.manifest = m.id LEFT JOIN download_totals t ON t.manifest = m.id
WHERE m.repository = ?1 AND m.digest = ?2;

-- name: insert_document
INSERT INTO documents (manifest, name, updated, size, pulls, terms, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING number;

-- name: update_document
UPDATE documents SET updated = ?2, size = ?3, pulls = ?4, terms = ?5, body = ?6 WHERE number = ?1;

-- name: set_pulls
UPDATE documents SET pulls = ?2 WHERE number = ?1;

-- name: delete_document
DELETE FROM documents WHERE number = ?1;

-- name: repository_documents
SELECT d.number, d.updated, d.size, d.pulls, d.terms
FROM manifests m JOIN documents d ON d.manifest = m.id
WHERE m.repository = ?1 AND d.number > ?2 ORDER BY d.number LIMIT ?3;

-- name: change
SELECT folding, packed FROM document_changes WHERE number = ?1;

-- name: put_change
INSERT INTO document_changes (number, folding, packed, present, updated, size, pulls, terms)
VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (number) DO UPDATE SET folding = 0, packed = excluded.packed, present = excluded.present, updated = excluded.updated,
    size = excluded.size, pulls = excluded.pulls, terms = excluded.terms;

-- name: delete_change
DELETE FROM document_changes WHERE number = ?1;

-- name: changes
SELECT number, folding, packed, present, updated, size, pulls, terms FROM document_changes;

-- name: folding_terms
SELECT number, packed, terms FROM document_changes WHERE folding = 1;

-- name: folding_values
SELECT number, updated, size, pulls FROM document_changes
WHERE folding = 1 AND present = 1 AND number >= ?1;

-- name: fold_position
SELECT value FROM state WHERE name = 'fold';

-- name: set_fold_position
UPDATE state SET value = ?1 WHERE name = 'fold';

-- name: count_changes
SELECT count(*) FROM document_changes;

-- name: begin_fold
UPDATE document_changes SET folding = 1
WHERE number IN (SELECT number FROM document_changes ORDER BY number LIMIT ?1);

-- name: end_fold
DELETE FROM document_changes WHERE folding = 1;

-- name: terms_by_text
SELECT id, text, documents FROM terms WHERE text IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: many_terms_by_text
SELECT id, text, documents FROM terms WHERE text IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52,
    ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64, ?65, ?66, ?67, ?68, ?69, ?70, ?71, ?72, ?73, ?74, ?75, ?76, ?77,
    ?78, ?79, ?80, ?81, ?82, ?83, ?84, ?85, ?86, ?87, ?88, ?89, ?90, ?91, ?92, ?93, ?94, ?95, ?96, ?97, ?98, ?99, ?100, ?101,
    ?102, ?103, ?104, ?105, ?106, ?107, ?108, ?109, ?110, ?111, ?112, ?113, ?114, ?115, ?116, ?117, ?118, ?119, ?120, ?121, ?122,
    ?123, ?124, ?125, ?126, ?127, ?128);

-- name: terms_by_id
SELECT id, text FROM terms WHERE id IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: insert_terms
INSERT INTO terms (text, documents) VALUES
    (?1, 0), (?2, 0), (?3, 0), (?4, 0), (?5, 0), (?6, 0), (?7, 0), (?8, 0)
ON CONFLICT (text) DO NOTHING RETURNING id, text;

-- name: terms
SELECT id, text, documents FROM terms WHERE text >= ?1 AND text < ?2 AND text > ?3 ORDER BY text LIMIT ?4;

-- name: count_terms
WITH added (id, n) AS (VALUES
    (CAST(?1 AS BIGINT), CAST(?2 AS BIGINT)), (?3, ?4), (?5, ?6), (?7, ?8), (?9, ?10), (?11, ?12), (?13, ?14), (?15, ?16),
    (?17, ?18), (?19, ?20), (?21, ?22), (?23, ?24), (?25, ?26), (?27, ?28), (?29, ?30), (?31, ?32), (?33, ?34), (?35, ?36),
    (?37, ?38), (?39, ?40), (?41, ?42), (?43, ?44), (?45, ?46), (?47, ?48), (?49, ?50), (?51, ?52), (?53, ?54), (?55, ?56),
    (?57, ?58), (?59, ?60), (?61, ?62), (?63, ?64), (?65, ?66), (?67, ?68), (?69, ?70), (?71, ?72), (?73, ?74), (?75, ?76),
    (?77, ?78), (?79, ?80), (?81, ?82), (?83, ?84), (?85, ?86), (?87, ?88), (?89, ?90), (?91, ?92), (?93, ?94), (?95, ?96))
UPDATE terms SET documents = documents + added.n FROM added WHERE terms.id = added.id;

-- name: unused_terms
SELECT id FROM terms WHERE documents = 0 AND id > 0 ORDER BY id LIMIT ?1;

-- name: delete_terms
DELETE FROM terms WHERE id IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: postings
SELECT term, segment, numbers FROM postings WHERE term IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16);

-- name: postings_of
SELECT term, segment, numbers FROM postings
WHERE term IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48)
  AND segment IN (?49, ?50, ?51, ?52, ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64);

-- name: put_posting
INSERT INTO postings (term, segment, numbers) VALUES (?1, ?2, ?3)
ON CONFLICT (term, segment) DO UPDATE SET numbers = excluded.numbers;

-- name: put_postings
INSERT INTO postings (term, segment, numbers) VALUES
    (?1, ?2, ?3), (?4, ?5, ?6), (?7, ?8, ?9), (?10, ?11, ?12), (?13, ?14, ?15), (?16, ?17, ?18), (?19, ?20, ?21),
    (?22, ?23, ?24), (?25, ?26, ?27), (?28, ?29, ?30), (?31, ?32, ?33), (?34, ?35, ?36), (?37, ?38, ?39), (?40, ?41, ?42),
    (?43, ?44, ?45), (?46, ?47, ?48), (?49, ?50, ?51), (?52, ?53, ?54), (?55, ?56, ?57), (?58, ?59, ?60), (?61, ?62, ?63),
    (?64, ?65, ?66), (?67, ?68, ?69), (?70, ?71, ?72), (?73, ?74, ?75), (?76, ?77, ?78), (?79, ?80, ?81), (?82, ?83, ?84),
    (?85, ?86, ?87), (?88, ?89, ?90), (?91, ?92, ?93), (?94, ?95, ?96), (?97, ?98, ?99), (?100, ?101, ?102), (?103, ?104, ?105),
    (?106, ?107, ?108), (?109, ?110, ?111), (?112, ?113, ?114), (?115, ?116, ?117), (?118, ?119, ?120), (?121, ?122, ?123),
    (?124, ?125, ?126), (?127, ?128, ?129), (?130, ?131, ?132), (?133, ?134, ?135), (?136, ?137, ?138), (?139, ?140, ?141),
    (?142, ?143, ?144)
ON CONFLICT (term, segment) DO UPDATE SET numbers = excluded.numbers;

-- name: put_some_postings
INSERT INTO postings (term, segment, numbers) VALUES
    (?1, ?2, ?3), (?4, ?5, ?6), (?7, ?8, ?9), (?10, ?11, ?12), (?13, ?14, ?15), (?16, ?17, ?18), (?19, ?20, ?21), (?22, ?23, ?24)
ON CONFLICT (term, segment) DO UPDATE SET numbers = excluded.numbers;

-- name: delete_posting
DELETE FROM postings WHERE term = ?1 AND segment = ?2;

-- name: value_zones
SELECT key, lowest, highest FROM document_values WHERE key BETWEEN ?1 AND ?2;

-- name: values
SELECT key, lowest, numbers FROM document_values WHERE key IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16);

-- name: put_values
INSERT INTO document_values (key, lowest, highest, numbers) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (key) DO UPDATE SET lowest = excluded.lowest, highest = excluded.highest, numbers = excluded.numbers;

-- name: values_by_number
SELECT number, updated, size, pulls FROM documents WHERE number IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: names_by_number
SELECT number, name FROM documents WHERE number IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: terms_by_number
SELECT number, terms FROM documents WHERE number IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: documents_by_number
SELECT d.number, d.name, m.digest, d.updated, d.size, d.pulls, d.body
FROM documents d JOIN manifests m ON m.id = d.manifest WHERE d.number IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: names_up
SELECT number, name FROM documents WHERE (name, number) > (?1, ?2) ORDER BY name, number LIMIT ?3;

-- name: names_down
SELECT number, name FROM documents WHERE (name, number) < (?1, ?2) ORDER BY name DESC, number DESC LIMIT ?3;

-- name: document
SELECT d.number, d.updated, d.size, d.pulls, d.terms, d.body
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN documents d ON d.manifest = m.id
WHERE r.name = ?1 AND m.digest = ?2;

-- name: function_cut
SELECT value FROM state WHERE name = 'function_cut';

-- name: set_function_cut
UPDATE state SET value = ?1 WHERE name = 'function_cut';

-- name: function_count
SELECT value FROM state WHERE name = 'functions';

-- name: count_functions
UPDATE state SET value = value + ?1 WHERE name = 'functions';

-- name: function_layer
SELECT id, total, hashes FROM function_layers WHERE digest = ?1;

-- name: put_function_layer
INSERT INTO function_layers (digest, total, hashes) VALUES (?1, ?2, ?3)
ON CONFLICT (digest) DO UPDATE SET total = excluded.total, hashes = excluded.hashes RETURNING id;

-- name: delete_function_layer
DELETE FROM function_layers WHERE id = ?1;

-- name: insert_functions
INSERT INTO functions (layer, hash) VALUES
    (?1, ?2), (?1, ?3), (?1, ?4), (?1, ?5), (?1, ?6), (?1, ?7), (?1, ?8), (?1, ?9), (?1, ?10), (?1, ?11), (?1, ?12), (?1, ?13),
    (?1, ?14), (?1, ?15), (?1, ?16), (?1, ?17), (?1, ?18), (?1, ?19), (?1, ?20), (?1, ?21), (?1, ?22), (?1, ?23), (?1, ?24),
    (?1, ?25), (?1, ?26), (?1, ?27), (?1, ?28), (?1, ?29), (?1, ?30), (?1, ?31), (?1, ?32), (?1, ?33), (?1, ?34), (?1, ?35),
    (?1, ?36), (?1, ?37), (?1, ?38), (?1, ?39), (?1, ?40), (?1, ?41), (?1, ?42), (?1, ?43), (?1, ?44), (?1, ?45), (?1, ?46),
    (?1, ?47), (?1, ?48), (?1, ?49), (?1, ?50), (?1, ?51), (?1, ?52), (?1, ?53), (?1, ?54), (?1, ?55), (?1, ?56), (?1, ?57),
    (?1, ?58), (?1, ?59), (?1, ?60), (?1, ?61), (?1, ?62), (?1, ?63), (?1, ?64), (?1, ?65), (?1, ?66), (?1, ?67), (?1, ?68),
    (?1, ?69), (?1, ?70), (?1, ?71), (?1, ?72), (?1, ?73), (?1, ?74), (?1, ?75), (?1, ?76), (?1, ?77), (?1, ?78), (?1, ?79),
    (?1, ?80), (?1, ?81), (?1, ?82), (?1, ?83), (?1, ?84), (?1, ?85), (?1, ?86), (?1, ?87), (?1, ?88), (?1, ?89), (?1, ?90),
    (?1, ?91), (?1, ?92), (?1, ?93), (?1, ?94), (?1, ?95), (?1, ?96), (?1, ?97), (?1, ?98), (?1, ?99), (?1, ?100), (?1, ?101),
    (?1, ?102), (?1, ?103), (?1, ?104), (?1, ?105), (?1, ?106), (?1, ?107), (?1, ?108), (?1, ?109), (?1, ?110), (?1, ?111),
    (?1, ?112), (?1, ?113), (?1, ?114), (?1, ?115), (?1, ?116), (?1, ?117), (?1, ?118), (?1, ?119), (?1, ?120), (?1, ?121),
    (?1, ?122), (?1, ?123), (?1, ?124), (?1, ?125), (?1, ?126), (?1, ?127), (?1, ?128), (?1, ?129)
ON CONFLICT DO NOTHING;

-- name: delete_functions
DELETE FROM functions WHERE layer = ?1 AND hash IN (
    ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52,
    ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64, ?65, ?66, ?67, ?68, ?69, ?70, ?71, ?72, ?73, ?74, ?75, ?76, ?77,
    ?78, ?79, ?80, ?81, ?82, ?83, ?84, ?85, ?86, ?87, ?88, ?89, ?90, ?91, ?92, ?93, ?94, ?95, ?96, ?97, ?98, ?99, ?100, ?101,
    ?102, ?103, ?104, ?105, ?106, ?107, ?108, ?109, ?110, ?111, ?112, ?113, ?114, ?115, ?116, ?117, ?118, ?119, ?120, ?121, ?122,
    ?123, ?124, ?125, ?126, ?127, ?128, ?129);

-- name: layers_with_function
SELECT l.digest FROM functions f JOIN function_layers l ON l.id = f.layer
WHERE f.hash = ?1 ORDER BY f.layer LIMIT ?2;

-- name: layer_ids_with_function
SELECT layer FROM functions WHERE hash = ?1 ORDER BY layer LIMIT ?2;

-- name: function_layers_by_id
SELECT id, digest, total, hashes FROM function_layers WHERE id IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: function_from_top
SELECT hash FROM functions ORDER BY hash DESC LIMIT 1 OFFSET ?1;

-- name: cut_functions
DELETE FROM functions WHERE hash >= ?1;
