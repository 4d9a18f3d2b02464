// Command ctrpull pulls an image as containerd does, with its resolver, content
// store and unpacker, for one platform, and lists the files of the root file
// system that comes of it.
//
//	ctrpull [-platform wasi/wasm] [-root folder] host/repository:tag
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/diff/apply"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/unpack"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/platforms"
	"github.com/opencontainers/image-spec/identity"
	bolt "go.etcd.io/bbolt"
)

func main() {
	platform := flag.String("platform", "wasi/wasm", "os/architecture to pull")
	root := flag.String("root", "", "folder for content and snapshots")
	flag.Parse()
	if flag.NArg() != 1 || *root == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *root, *platform, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "ctrpull:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, platform, ref string) error {
	ctx = namespaces.WithNamespace(ctx, "test")
	p, err := platforms.Parse(platform)
	if err != nil {
		return err
	}
	store, err := local.NewStore(filepath.Join(root, "content"))
	if err != nil {
		return err
	}
	native, err := native.NewSnapshotter(filepath.Join(root, "native"))
	if err != nil {
		return err
	}
	file, err := bolt.Open(filepath.Join(root, "meta.db"), 0o600, nil)
	if err != nil {
		return err
	}
	defer file.Close()
	db := metadata.NewDB(file, store, map[string]snapshots.Snapshotter{"native": native})
	if err := db.Init(ctx); err != nil {
		return err
	}
	lease, err := metadata.NewLeaseManager(db).Create(ctx, leases.WithRandomID())
	if err != nil {
		return err
	}
	ctx = leases.WithLease(ctx, lease.ID)

	resolver := docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchLocalhost), docker.WithClient(http.DefaultClient)),
	})
	name, desc, err := resolver.Resolve(ctx, ref)
	if err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return err
	}
	content := db.ContentStore()
	only := platforms.Only(p)
	unpacker, err := unpack.NewUnpacker(ctx, content, unpack.WithUnpackPlatform(unpack.Platform{
		Platform: only, SnapshotterKey: "native", Snapshotter: db.Snapshotter("native"), Applier: apply.NewFileSystemApplier(content),
	}))
	if err != nil {
		return err
	}
	children := images.SetChildrenMappedLabels(content, images.FilterPlatforms(images.ChildrenHandler(content), only), nil)
	handler := unpacker.Unpack(images.Handlers(remotes.FetchHandler(content, fetcher), children))
	if err := images.Dispatch(ctx, handler, nil, desc); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	if result, err := unpacker.Wait(); err != nil {
		return fmt.Errorf("unpack: %w", err)
	} else if result.Unpacks != 1 {
		return fmt.Errorf("%d root file systems unpacked, want 1", result.Unpacks)
	}
	fmt.Printf("%s %s %s\n", name, desc.MediaType, desc.Digest)

	manifest, err := images.Manifest(ctx, content, desc, only)
	if err != nil {
		return err
	}
	diffs, err := images.RootFS(ctx, content, manifest.Config)
	if err != nil {
		return err
	}
	view, err := db.Snapshotter("native").View(ctx, "look", identity.ChainID(diffs).String())
	if err != nil {
		return err
	}
	return mount.WithTempMount(ctx, view, func(dir string) error {
		return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			fmt.Printf("/%s %d\n", rel, info.Size())
			return nil
		})
	})
}
