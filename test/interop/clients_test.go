//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oras "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
)

func TestOrasGo(t *testing.T) {
	reg := startWreg(t)
	repo, err := remote.NewRepository(reg.ref("team/oras"))
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	ctx, src := t.Context(), memory.New()
	layer, err := oras.PushBytes(ctx, src, "application/wasm", newShell(t).wasm("oras"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := oras.PackManifest(ctx, src, oras.PackManifestVersion1_1, "application/vnd.example.thing", oras.PackManifestOptions{
		Layers: []ocispec.Descriptor{layer},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Tag(ctx, root, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(ctx, src, "1.0.0", repo, "1.0.0", oras.DefaultCopyOptions); err != nil {
		t.Fatalf("copy to wreg: %v", err)
	}
	sbom, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, "application/vnd.example.sbom", oras.PackManifestOptions{Subject: &root})
	if err != nil {
		t.Fatalf("push a referrer: %v", err)
	}

	back := memory.New()
	got, err := oras.ExtendedCopy(ctx, repo, "1.0.0", back, "1.0.0", oras.DefaultExtendedCopyOptions)
	if err != nil || got.Digest != root.Digest {
		t.Fatalf("extended copy from wreg = %v, %v; want %s", got.Digest, err, root.Digest)
	}
	if ok, err := back.Exists(ctx, sbom); err != nil || !ok {
		t.Errorf("the referrer did not come along: %v, %v", ok, err)
	}
	var found []ocispec.Descriptor
	if err := repo.Referrers(ctx, root, "application/vnd.example.sbom", func(d []ocispec.Descriptor) error {
		found = append(found, d...)
		return nil
	}); err != nil || len(found) != 1 || found[0].Digest != sbom.Digest {
		t.Errorf("referrers = %v, %v; want %s", found, err, sbom.Digest)
	}
}

func TestCrane(t *testing.T) {
	reg, sh := startWreg(t), newShell(t)
	crane := func(args ...string) string { return sh.run(append([]string{client(t, "crane")}, args...)...) }
	p := sh.push(reg.ref("team/crane:1.0.0"))

	if got := strings.TrimSpace(crane("digest", reg.ref("team/crane:1.0.0"))); got != p.Digest {
		t.Errorf("crane digest = %s, want %s", got, p.Digest)
	}
	contains(t, "crane manifest", crane("manifest", reg.ref("team/crane:1.0.0")), "application/vnd.wasm.config.v0+json")
	contains(t, "crane ls", crane("ls", reg.ref("team/crane")), "1.0.0")
	contains(t, "crane catalog", crane("catalog", reg.host), "team/crane")
	crane("copy", reg.ref("team/crane:1.0.0"), reg.ref("team/other:1.0.0"))
	crane("tag", reg.ref("team/other:1.0.0"), "latest")
	if got := strings.TrimSpace(crane("digest", reg.ref("team/other:latest"))); got != p.Digest {
		t.Errorf("digest of the copy = %s, want %s", got, p.Digest)
	}
	crane("validate", "--remote", reg.ref("team/crane:1.0.0"))
	contains(t, "crane config", crane("config", reg.ref("team/crane:1.0.0")), `"architecture":"wasm"`)

	crane("pull", "--format=oci", reg.ref("team/crane:1.0.0"), sh.file("layout"))
	crane("push", sh.file("layout"), reg.ref("team/again:1.0.0"))
	crane("delete", reg.ref("team/other@"+p.Digest))
	contains(t, "crane digest after delete", sh.fails(client(t, "crane"), "digest", reg.ref("team/other:latest")), "404")
}

func TestRegctl(t *testing.T) {
	reg, sh := startWreg(t), newShell(t)
	regctl := func(args ...string) string { return sh.run(append([]string{client(t, "regctl")}, args...)...) }
	regctl("registry", "set", "--tls", "disabled", reg.host)
	p := sh.push(reg.ref("team/regctl:1.0.0"))

	if got := strings.TrimSpace(regctl("manifest", "head", reg.ref("team/regctl:1.0.0"))); got != p.Digest {
		t.Errorf("regctl manifest head = %s, want %s", got, p.Digest)
	}
	contains(t, "regctl tag ls", regctl("tag", "ls", reg.ref("team/regctl")), "1.0.0")
	contains(t, "regctl repo ls", regctl("repo", "ls", reg.host), "team/regctl")
	regctl("image", "copy", "--referrers", reg.ref("team/regctl:1.0.0"), "ocidir://"+sh.file("layout")+":1.0.0")
	regctl("image", "copy", "ocidir://"+sh.file("layout")+":1.0.0", reg.ref("team/back:1.0.0"))

	if err := os.WriteFile(sh.file("sbom.json"), []byte(`{"bomFormat":"CycloneDX"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	regctl("artifact", "put", "--artifact-type", "application/vnd.cyclonedx+json", "-f", sh.file("sbom.json"),
		"--subject", reg.ref("team/regctl:1.0.0"))
	contains(t, "regctl artifact list", regctl("artifact", "list", reg.ref("team/regctl:1.0.0")), "application/vnd.cyclonedx+json")
	// The inspection report that wreg adds is a referrer as well.
	contains(t, "regctl artifact get", regctl("artifact", "get", "--subject", reg.ref("team/regctl:1.0.0"),
		"--filter-artifact-type", "application/vnd.cyclonedx+json"), "CycloneDX")

	layer := regctl("manifest", "get", "--format", "{{(index .Layers 0).Digest}}", reg.ref("team/regctl:1.0.0"))
	if got := regctl("blob", "get", reg.ref("team/regctl"), strings.TrimSpace(layer)); got != string(sh.read("module.wasm")) {
		t.Errorf("regctl blob get has %d bytes, want the module's %d", len(got), len(sh.read("module.wasm")))
	}
	regctl("tag", "rm", reg.ref("team/back:1.0.0"))
	if got := regctl("tag", "ls", reg.ref("team/back")); strings.TrimSpace(got) != "" {
		t.Errorf("tags after tag rm = %q, want none", got)
	}
}

func TestSkopeo(t *testing.T) {
	reg, sh := startWreg(t), newShell(t)
	skopeo := func(args ...string) string { return sh.run(append([]string{"skopeo"}, args...)...) }
	p := sh.push(reg.ref("team/skopeo:1.0.0"), "--view", "oci-image")
	image := "docker://" + reg.ref("team/skopeo:oci-image-1.0.0")

	skopeo("copy", "--src-tls-verify=false", image, "oci:"+sh.file("layout")+":it")
	skopeo("copy", "--dest-tls-verify=false", "oci:"+sh.file("layout")+":it", "docker://"+reg.ref("team/copy:v2"))
	skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--format", "v2s2", image, "docker://"+reg.ref("team/docker:v2"))
	contains(t, "Docker manifest", skopeo("inspect", "--raw", "--tls-verify=false", "docker://"+reg.ref("team/docker:v2")),
		"application/vnd.docker.distribution.manifest.v2+json")
	contains(t, "skopeo list-tags", skopeo("list-tags", "--tls-verify=false", "docker://"+reg.ref("team/skopeo")), `"1.0.0"`)

	var seen struct{ Architecture, Os string }
	if err := json.Unmarshal([]byte(skopeo("inspect", "--tls-verify=false", image)), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Architecture != "wasm" || seen.Os != "wasi" {
		t.Errorf("skopeo inspect shows platform %s/%s, want wasi/wasm", seen.Os, seen.Architecture)
	}
	raw := skopeo("inspect", "--raw", "--tls-verify=false", image)
	contains(t, "the view's subject", raw, p.Digest)
	skopeo("delete", "--tls-verify=false", "docker://"+reg.ref("team/copy:v2"))
	contains(t, "inspect after delete", sh.fails("skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+reg.ref("team/copy:v2")), "manifest unknown")
}

func TestCosign(t *testing.T) {
	reg, sh := startWreg(t), newShell(t, "COSIGN_PASSWORD=", "COSIGN_EXPERIMENTAL=1")
	cosign := func(args ...string) string { return sh.run(append([]string{client(t, "cosign")}, args...)...) }
	p := sh.push(reg.ref("team/cosign:1.0.0"))
	ref := reg.ref("team/cosign@" + p.Digest)
	cosign("generate-key-pair")

	for _, mode := range []string{"legacy", "oci-1-1"} {
		t.Run(mode, func(t *testing.T) {
			cosign("sign", "--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry", "--registry-referrers-mode", mode, "--yes", ref)
			args := []string{"verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true", "--allow-http-registry"}
			if mode == "oci-1-1" {
				args = append(args, "--experimental-oci11")
			}
			contains(t, "cosign verify", cosign(append(args, ref)...), p.Digest)
		})
	}
	contains(t, "cosign tree", cosign("tree", "--allow-http-registry", ref), "Signatures for an image tag")
	tag := "sha256-" + strings.TrimPrefix(p.Digest, "sha256:") + ".sig"
	contains(t, "the tags", sh.run(client(t, "crane"), "ls", reg.ref("team/cosign")), tag)
	contains(t, "the referrers", sh.run(client(t, "crane"), "manifest", reg.host+"/team/cosign:"+tag), "dev.cosignproject.cosign/signature")

	if err := os.WriteFile(sh.file("payload"), []byte("payload"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sh.file("sig"), []byte("c2lnbmF0dXJl"), 0o600); err != nil {
		t.Fatal(err)
	}
	q := sh.push(reg.ref("team/attached:1.0.0"))
	attached := reg.ref("team/attached@" + q.Digest)
	cosign("attach", "signature", "--payload", "payload", "--signature", "sig", "--allow-http-registry", attached)
	contains(t, "cosign download signature", cosign("download", "signature", "--allow-http-registry", attached), "c2lnbmF0dXJl")
}

func TestContainerd(t *testing.T) {
	reg, sh := startWreg(t), newShell(t)
	sh.push(reg.ref("team/image:1.0.0"), "--view", "oci-image")
	out := sh.run(client(t, "ctrpull"), "-root", sh.file("containerd"), reg.ref("team/image:oci-image-1.0.0"))
	contains(t, "containerd's pull", out, "application/vnd.oci.image.manifest.v1+json")
	contains(t, "the root file system", out, "/plugin.wasm")
	contains(t, "containerd refuses another platform", sh.fails(client(t, "ctrpull"), "-platform", "linux/amd64",
		"-root", sh.file("other"), reg.ref("team/image:oci-image-1.0.0")), "unpack")
}

// wpkg is a client of any registry: distribution's has no referrers API, so a
// copy with referrers has to fall back to the tag.
func TestWpkgAgainstDistribution(t *testing.T) {
	wreg, other, sh := startWreg(t), startDistribution(t), newShell(t)
	wpkg := program(t, "bin", "wpkg")
	p := sh.push(other.ref("team/package:1.0.0"))
	module := sh.read("module.wasm")

	sh.run(wpkg, "pull", other.ref("team/package:1.0.0"), "-o", "pulled.wasm")
	if !bytes.Equal(sh.read("pulled.wasm"), module) {
		t.Error("the pulled module is not the one that was pushed")
	}
	contains(t, "wpkg list", sh.run(wpkg, "list", other.ref("team/package")), "1.0.0")
	contains(t, "wpkg inspect", sh.run(wpkg, "inspect", other.ref("team/package:1.0.0")), "wasi_snapshot_preview1")

	sh.run(wpkg, "copy", other.ref("team/package:1.0.0"), wreg.ref("team/package:1.0.0"))
	regctl := client(t, "regctl")
	sh.run(regctl, "registry", "set", "--tls", "disabled", wreg.host)
	sh.run(regctl, "registry", "set", "--tls", "disabled", other.host)
	if err := os.WriteFile(sh.file("note.txt"), []byte("a note"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh.run(regctl, "artifact", "put", "--artifact-type", "application/vnd.example.note", "-f", sh.file("note.txt"),
		"--subject", wreg.ref("team/package:1.0.0"))
	sh.run(wpkg, "copy", "--referrers", wreg.ref("team/package:1.0.0"), other.ref("team/mirror:1.0.0"))
	contains(t, "the fallback tag's index", sh.run(regctl, "artifact", "list", other.ref("team/mirror:1.0.0")), "application/vnd.example.note")
	sh.run(wpkg, "copy", "--referrers", other.ref("team/mirror:1.0.0"), "oci-layout:"+filepath.Join(sh.dir, "layout")+":1.0.0")
	sh.run(wpkg, "copy", "--referrers", "oci-layout:"+filepath.Join(sh.dir, "layout")+":1.0.0", wreg.ref("team/back:1.0.0"))
	contains(t, "referrers after the way round", sh.run(regctl, "artifact", "list", wreg.ref("team/back:1.0.0")), "application/vnd.example.note")
	if got := strings.TrimSpace(sh.run(client(t, "crane"), "digest", wreg.ref("team/back:1.0.0"))); got != p.Digest {
		t.Errorf("digest after the way round = %s, want %s", got, p.Digest)
	}
}

// The programs that these tests stand for must be the real ones: say which.
func TestVersions(t *testing.T) {
	for _, args := range [][]string{
		{client(t, "crane"), "version"},
		{client(t, "regctl"), "version"},
		{"skopeo", "--version"},
		{client(t, "cosign"), "version"},
		{client(t, "registry"), "--version"},
	} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		t.Logf("%s: %s", filepath.Base(args[0]), bytes.TrimSpace(out))
	}
}
