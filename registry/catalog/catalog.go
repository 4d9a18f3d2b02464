// Package catalog serves what a registry knows about its packages by HTTP, below
// /api/v1.
package catalog
