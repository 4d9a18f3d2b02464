package artifact

// Media types of the forms in which Wasm lies in registries, each with who
// reads it. wreg writes the canonical one and views; it reads them all.
const (
	// MediaTypeManifest is set in every manifest: clients of the canonical form
	// refuse a manifest that does not say what it is.
	MediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"

	// MediaTypeConfig and MediaTypeWasm are the config and the only layer of
	// the CNCF TAG Runtime Wasm OCI artifact, the canonical form.
	MediaTypeConfig = "application/vnd.wasm.config.v0+json"
	MediaTypeWasm   = "application/wasm"

	// MediaTypeImageConfig and MediaTypeImageLayer make an ordinary container
	// image, for engines that unpack a root file system.
	MediaTypeImageConfig = "application/vnd.oci.image.config.v1+json"
	MediaTypeImageLayer  = "application/vnd.oci.image.layer.v1.tar+gzip"

	// The same of Docker's schema 2, read only.
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"

	// MediaTypeImageTar is an image layer without compression, read only.
	MediaTypeImageTar = "application/vnd.oci.image.layer.v1.tar"

	// MediaTypeLegacyConfig and MediaTypeLegacyLayer are wasm-to-oci's, which
	// policy engines and edge runtimes still publish; read only.
	MediaTypeLegacyConfig = "application/vnd.wasm.config.v1+json"
	MediaTypeLegacyLayer  = "application/vnd.wasm.content.layer.v1+wasm"

	// MediaTypeModuleConfig and MediaTypeModuleLayer are the two layers of the
	// Wasm Image specification that proxies read; read only.
	MediaTypeModuleConfig = "application/vnd.module.wasm.config.v1+json"
	MediaTypeModuleLayer  = "application/vnd.module.wasm.content.layer.v1+wasm"

	// MediaTypeShimLayer is the raw layer of older containerd shims; read only.
	MediaTypeShimLayer = "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm"
)

// Annotations wreg writes or reads.
const (
	AnnotationTitle         = "org.opencontainers.image.title"
	AnnotationVersion       = "org.opencontainers.image.version" // in full: a tag has no "+"
	AnnotationDescription   = "org.opencontainers.image.description"
	AnnotationLicenses      = "org.opencontainers.image.licenses"
	AnnotationSource        = "org.opencontainers.image.source"
	AnnotationURL           = "org.opencontainers.image.url"
	AnnotationAuthors       = "org.opencontainers.image.authors"
	AnnotationRevision      = "org.opencontainers.image.revision"
	AnnotationCreated       = "org.opencontainers.image.created"
	AnnotationDocumentation = "org.opencontainers.image.documentation"

	// AnnotationVariant, with the value VariantCompat, marks a container image
	// as Wasm: the only value all engines accept.
	AnnotationVariant = "module.wasm.image/variant"
	VariantCompat     = "compat"

	// AnnotationView names the view a manifest is of its subject, "oci-image".
	AnnotationView = "io.wreg.view"

	// AnnotationReadme holds a description in Markdown, for the package's page.
	AnnotationReadme = "io.wreg.readme"
)
