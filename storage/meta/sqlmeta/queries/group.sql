-- name: savepoint
SAVEPOINT member;

-- name: release
RELEASE SAVEPOINT member;

-- name: undo
ROLLBACK TO SAVEPOINT member;
