package sqlmeta

// Statement is a statement of the queries folder, with SQLite's ?1 for parameters,
// for tests that look at its plan.
func Statement(name string) string { return queries[name] }
