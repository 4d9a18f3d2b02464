package ingest_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

func TestAPackageIsInspectedAndIndexedAfterItsPush(t *testing.T) {
	e := newEnv(t, setup{})
	c := e.as("alice")
	file := component(t)
	d := c.push("team/app", "1.0.0", layer{typeWasm, file, "app.wasm"})
	e.wait()

	m, err := e.db.Manifest(t.Context(), "team/app", d)
	if err != nil || m.Ingested == 0 {
		t.Fatalf("Manifest() = %+v, %v; want it ingested", m, err)
	}
	files, analysed, err := e.svc.Files(t.Context(), "team/app", d)
	if err != nil || !analysed || len(files) != 1 || files[0].Name != "app.wasm" || files[0].Report.Kind != "component" {
		t.Fatalf("Files() = %+v, %v, %v; want one component", files, analysed, err)
	}
	if diff := cmp.Diff([]string{"push", "tag", "ingested"}, e.events("team/app")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	refs, err := e.db.Referrers(t.Context(), "team/app", d, typeReport, meta.Page{})
	if err != nil || len(refs) != 1 {
		t.Fatalf("Referrers() = %+v, %v; want the report", refs, err)
	}
	facts, err := e.svc.Facts(t.Context(), "team/app", d, policy.Push, policy.Needs{})
	if err != nil || len(facts) != 1 || facts[0].Package.Version != "1.0.0" {
		t.Fatalf("Facts() = %+v, %v", facts, err)
	}
	c.want(c.get("team/app", "1.0.0"), http.StatusOK)
}
