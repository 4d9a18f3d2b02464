// Package testenv makes what tests need around them: certificates, and a
// PostgreSQL server of their own. It is imported by tests only.
package testenv
