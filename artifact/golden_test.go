package artifact

// Digests that must not change. The view's is that of the layer before its
// compression: a release of Go may compress better.
const (
	moduleManifest    = "sha256:103bcd3cf172d311fa22ba88cea72b3de6620cb2c9ac8b234c18fa12370969e5"
	componentManifest = "sha256:a4f0d170e826c03f3fbfed74ff0f4510b2b5e3f1978acec3a96a326ca806695a"
	optionsManifest   = "sha256:efd408bb54b9c9dd9c7fa0b12a7e6615b0464c647fcc4252374eb4a8a1e8e1de"
	viewTar           = "sha256:ce44a7c2ae5a739ef5382b23629973dd93203813875486b94fa2062809adcfd3"
)
