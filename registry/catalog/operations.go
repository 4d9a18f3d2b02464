package catalog

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
)

// Parameters that several operations have.
var (
	cursorParam = param{
		name: "cursor", kind: kindText, maxLen: maxCursor, pattern: `^[A-Za-z0-9_-]*$`,
		doc: "Where the page begins: next of the page before.",
	}
	packageParam = param{name: "package", kind: kindPackage, doc: "Only those of this package."}
	digestParam  = param{name: "digest", kind: kindDigest, doc: "Only those of this manifest."}
	outcomeParam = param{
		name: "outcome", kind: kindText, enum: []string{"allow", "warn", "deny"},
		doc: "Only outcomes as bad as this, or worse.",
	}
)

var billFileParam = param{
	name: "file", kind: kindDigest, doc: "Which file, by its own digest; without it, the first with a bill of materials.",
}

// Examples of bodies, for the document.
const examplePolicy = `rules:
  - name: small
    require: report.size < 5 * 1024 * 1024
    message: packages have less than 5 MiB
`

var exampleTrust = wire.TrustRequest{
	Kind: "key",
	Content: "-----BEGIN PUBLIC KEY-----\n" +
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERnBJ3IK3o+sDEfT9Z551e438X5vS\n" +
		"3zt54IzVr/pgoqjF2vdHj/nTIb4N50ZhI83HVuyz50h4s3nfMbRrKt3Btw==\n" +
		"-----END PUBLIC KEY-----\n",
}

var exampleApproval = wire.ApprovalRequest{
	Package: "demo:app", Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Rule: "no-network/sockets",
	Reason: "it speaks to our own proxy only",
}

// page gives the parameters of a listing.
func page(more ...param) []param {
	return append(more, limitParam(100, 1000), cursorParam)
}

func limitParam(def, most int64) param {
	return param{
		name: "limit", kind: kindNumber, min: 1, max: most, def: strconv.FormatInt(def, 10),
		doc: "How many entries a page has at most.",
	}
}

// operations is the table of everything that can be asked, in the order of the
// document.
func operations() []*operation {
	var all []*operation
	for _, group := range [][]*operation{
		documentOperations(), searchOperations(), packageOperations(), versionOperations(), advisoryOperations(), noticeOperations(),
		policyOperations(), trustOperations(), decisionOperations(), variantOperations(), maintenanceOperations(),
	} {
		all = append(all, group...)
	}
	for _, op := range all {
		op.segs = strings.Split(strings.TrimPrefix(op.path, "/"), "/")
		if op.action == "" {
			op.action = policy.Pull
		}
	}
	return all
}

func documentOperations() []*operation {
	return []*operation{{
		id: "getDocument", method: http.MethodGet, path: "/openapi.json", public: true,
		summary: "This document.", answer: map[string]any{}, serve: (*API).getDocument,
	}}
}

func searchOperations() []*operation {
	return []*operation{
		{
			id: "search", method: http.MethodGet, path: "/search", summary: "Find versions by what they are and do.",
			detail: "The language of q is described in docs/spec/search.md. Entries are in order of sort, and of their place in the " +
				"index where that is equal.",
			query: []param{
				{name: "q", kind: kindText, doc: "The query; without it everything is found."},
				{
					name: "sort", kind: kindText, enum: []string{"relevance", "updated", "size", "pulls", "name"}, def: "relevance",
					doc: "What the order goes by.",
				},
				{
					name: "order", kind: kindText, enum: []string{"asc", "desc"},
					doc: "Ascending or descending; names ascend if nothing is said, everything else descends.",
				},
				limitParam(20, 100), cursorParam,
				{
					name: "facets", kind: kindWords, max: search.MaxFacets, enum: search.FacetOperators(),
					doc: "Properties whose most frequent values are to be counted, with commas between them.",
				},
				{name: "explain", kind: kindFlag, def: "false", doc: "Whether to tell how the query was answered."},
			},
			answer: wire.SearchResult{}, fails: []wire.Code{wire.CodeInvalidQuery}, serve: (*API).getSearch,
		},
		{
			id: "listInterfaces", method: http.MethodGet, path: "/interfaces", heavy: true,
			summary: "List interfaces and modules of imports, with how many versions export and import them.",
			query:   page(param{name: "prefix", kind: kindText, maxLen: 512, doc: "Only names that begin so."}),
			answer:  wire.List[wire.Interface]{}, serve: (*API).listInterfaces,
		},
		{
			id: "getInterface", method: http.MethodGet, path: "/interfaces/{interface}",
			summary: "Say who exports an interface, and who imports it.",
			query:   []param{limitParam(20, 100)}, answer: wire.InterfaceUse{}, serve: (*API).getInterface,
		},
		{
			id: "listFunctionUses", method: http.MethodGet, path: "/functions/{hash}", summary: "List the versions that contain a function.",
			query: []param{limitParam(20, search.MaxLimit), cursorParam}, answer: wire.List[wire.Hit]{}, serve: (*API).listFunctionUses,
		},
		{
			id: "audit", method: http.MethodPost, path: "/audit", heavy: true,
			summary: "Say which stored versions break the rules of a policy, which is not stored.",
			body:    wire.AuditRequest{}, maxBody: largeBody, answer: wire.AuditResult{},
			fails: []wire.Code{wire.CodeInvalidPolicy, wire.CodeInvalidQuery, wire.CodeInvalidCursor}, serve: (*API).postAudit,
		},
		{
			id: "getDiff", method: http.MethodGet, path: "/diff", heavy: true, summary: "Say what changed from one version to another.",
			query: []param{
				{name: "from", kind: kindPoint, required: true, doc: "The version before, package@version."},
				{name: "to", kind: kindPoint, required: true, doc: "The version after, package@version."},
				{name: "format", kind: kindText, enum: []string{"json", "markdown"}, doc: "The form of the answer, instead of an Accept header."},
			},
			answer: wire.Diff{}, formats: []format{{wire.MediaTypeMarkdown, ""}},
			fails: []wire.Code{wire.CodeNotFound}, serve: (*API).getDiff,
		},
	}
}

func packageOperations() []*operation {
	return []*operation{
		{
			id: "listPackages", method: http.MethodGet, path: "/packages", summary: "List packages, by name.",
			query: page(), answer: wire.List[wire.Package]{}, serve: (*API).listPackages,
		},
		{
			id: "getPackage", method: http.MethodGet, path: "/packages/{package}", summary: "Describe a package and its latest version.",
			answer: wire.PackageInfo{}, serve: (*API).getPackage,
		},
		{
			id: "listVersions", method: http.MethodGet, path: "/packages/{package}/versions", summary: "List the tags of a package.",
			detail: "Semantic versions come first, from the highest on, then prereleases in the same order, then all other tags by name.",
			query:  page(), answer: wire.List[wire.Version]{}, serve: (*API).listVersions,
		},
		{
			id: "resolve", method: http.MethodGet, path: "/packages/{package}/resolve", summary: "Give the highest version of a range.",
			query: []param{
				{
					name: "range", kind: kindText, maxLen: 256, def: "*",
					doc: "^1.2, ~1.2.3, >=1 <2, 1.x, * and combinations. Yanked versions are left out.",
				},
				{name: "prereleases", kind: kindFlag, def: "false", doc: "Whether prereleases count that the range does not name."},
			},
			answer: wire.Resolution{}, fails: []wire.Code{wire.CodeInvalidRange}, serve: (*API).getResolution,
		},
		{
			id: "getDownloads", method: http.MethodGet, path: "/packages/{package}/downloads", summary: "Count the pulls of a package by day.",
			query: []param{
				{name: "from", kind: kindDay, doc: "The first day, in UTC; without it, 90 days ago."},
				{name: "digest", kind: kindDigest, doc: "Only pulls of this manifest."},
			},
			answer: wire.Downloads{}, serve: (*API).getDownloads,
		},
		{
			id: "listDependents", method: http.MethodGet, path: "/packages/{package}/dependents", heavy: true,
			summary: "List versions of other packages that import what the latest version of this one exports.",
			query:   []param{limitParam(20, 100), cursorParam}, answer: wire.List[wire.Dependent]{}, serve: (*API).listDependents,
		},
	}
}

func versionOperations() []*operation {
	const base = "/packages/{package}/versions/{version}"
	return []*operation{
		{
			id: "getVersion", method: http.MethodGet, path: base, summary: "Describe a version.",
			answer: wire.VersionInfo{}, serve: (*API).getVersion,
		},
		{
			id: "getReport", method: http.MethodGet, path: base + "/report", summary: "Give the inspection report of a version's file.",
			detail:  "docs/spec/report.v1.schema.json is its schema.",
			query:   []param{{name: "file", kind: kindDigest, doc: "Which file, by its own digest; without it, the first with a report."}},
			formats: []format{{wire.MediaTypeReport, map[string]any{}}, {wire.MediaTypeJSON, map[string]any{}}},
			fails:   []wire.Code{wire.CodeNotAnalysed}, serve: (*API).getReport,
		},
		{
			id: "getSBOM", method: http.MethodGet, path: base + "/sbom", summary: "Give the bill of materials of a version's file.",
			detail: "It is derived from the binary alone. docs/spec/sbom.md describes the form of our own and what the others say.",
			query: []param{
				billFileParam,
				{name: "format", kind: kindText, enum: billFormats, doc: "The form of the answer, instead of an Accept header."},
			},
			formats: []format{
				{sbom.MediaType, map[string]any{}},
				{wire.MediaTypeJSON, map[string]any{}},
				{cyclonedx.MediaTypeJSON, map[string]any{}},
				{cyclonedx.MediaTypeXML, ""},
				{spdx.MediaTypeJSON, map[string]any{}},
				{spdx.MediaTypeTagValue, ""},
			},
			fails: []wire.Code{wire.CodeNotAnalysed}, serve: (*API).getSBOM,
		},
		{
			id: "getSBOMDifference", method: http.MethodGet, path: base + "/sbom/difference", heavy: true,
			summary: "Say where the publisher's bill of materials and the binaries differ.",
			query:   []param{{name: "file", kind: kindDigest, doc: "Only this file, by its own digest."}}, answer: wire.SBOMDifference{}, fails: []wire.Code{wire.CodeNotAnalysed},
			serve: (*API).getSBOMDifference,
		},
		{
			id: "getVulnerabilities", method: http.MethodGet, path: base + "/vulnerabilities", heavy: true,
			summary: "Say which advisories hold for a version, and how close each comes to code that runs.",
			detail: "It is made of the advisories of now. A VEX statement that is attached to the version takes no finding away and is " +
				"shown with it.",
			query: []param{
				{name: "file", kind: kindDigest, doc: "Only this file, by its own digest."},
				{
					name: "severity", kind: kindText, enum: []string{"low", "medium", "high", "critical"},
					doc: "Only those of this rating or a graver one. Those without a rating are left out.",
				},
				{
					name: "reachable", kind: kindWords, max: 3, enum: []string{"true", "false", "unknown"},
					doc: "Only those whose code can be reached (true), certainly cannot run (false), or of which neither is known, with commas " +
						"between them.",
				},
			},
			answer: wire.VulnerabilityReport{}, fails: []wire.Code{wire.CodeNotAnalysed}, serve: (*API).getVulnerabilities,
		},
		{
			id: "getSignatures", method: http.MethodGet, path: base + "/signatures",
			summary: "Say who signed a version, what is attested of it, and which signatures prove nothing.",
			query: []param{
				{name: "predicate", kind: kindFlag, def: "false", doc: "Whether to give what attestations say, where that is no longer than 64 KiB."},
			},
			answer: wire.Signatures{}, serve: (*API).getSignatures,
		},
		{
			id: "listFunctions", method: http.MethodGet, path: base + "/functions", heavy: true, summary: "List the functions of a version.",
			query: page(), answer: wire.List[wire.Function]{}, fails: []wire.Code{wire.CodeNotAnalysed}, serve: (*API).listFunctions,
		},
		{
			id: "listSimilar", method: http.MethodGet, path: base + "/similar", heavy: true,
			summary: "List versions that share the most functions with this one.",
			query:   []param{limitParam(20, 100)}, answer: wire.List[wire.Similar]{}, serve: (*API).listSimilar,
		},
		{
			id: "getDependencies", method: http.MethodGet, path: base + "/dependencies", heavy: true,
			summary: "Give a version's imports with the versions in this registry that export them, as a tree.",
			query: []param{
				{name: "depth", kind: kindNumber, min: 1, max: maxTreeDepth, def: "3", doc: "How deep the tree goes at most."},
			},
			answer: wire.Dependencies{}, serve: (*API).getDependencies,
		},
		{
			id: "listVersionDecisions", method: http.MethodGet, path: base + "/decisions", named: true,
			summary: "List what policy said about a version, newest first.",
			query:   page(outcomeParam), answer: wire.List[wire.Decision]{}, serve: (*API).listDecisions,
		},
	}
}

func advisoryOperations() []*operation {
	return []*operation{
		{
			id: "listFeeds", method: http.MethodGet, path: "/advisories", summary: "Say how many advisories there are, and how old they are.",
			answer: wire.FeedList{}, serve: (*API).listFeeds,
		},
		{
			id: "getAdvisory", method: http.MethodGet, path: "/advisories/{advisory}", summary: "Give an advisory with the versions that it is about.",
			query: []param{limitParam(20, 100)}, answer: wire.Advisory{}, fails: []wire.Code{wire.CodeNotFound}, serve: (*API).getAdvisory,
		},
		{
			id: "listAdvisoryUses", method: http.MethodGet, path: "/advisories/{advisory}/packages", heavy: true,
			summary: "List the versions with a component that an advisory is about, in the order in which their files came.",
			query:   page(), answer: wire.List[wire.AdvisoryUse]{}, fails: []wire.Code{wire.CodeNotFound}, serve: (*API).listAdvisoryUses,
		},
		{
			id: "listComponentUses", method: http.MethodGet, path: "/components", heavy: true,
			summary: "List the versions that have a component, in the order in which their files came.",
			query: page(
				param{
					name: "purl", kind: kindText, required: true, maxLen: 600,
					doc: "A package URL or a name, without a version, with one, or with a range: pkg:cargo/serde@<1.0.200. It is what dep: takes in " +
						"a search.",
				},
				param{
					name: "class", kind: kindText, enum: []string{"proven", "declared", "inferred", "named"},
					doc: "Only components that are known in this way.",
				},
			),
			answer: wire.List[wire.ComponentUse]{}, fails: []wire.Code{wire.CodeInvalidQuery}, serve: (*API).listComponentUses,
		},
	}
}

func noticeOperations() []*operation {
	notice := func(id, verb, summary string) *operation {
		return &operation{
			id: id, method: http.MethodPost, path: "/packages/{package}/versions/{version}/" + verb, action: policy.Push,
			summary: summary, detail: "A digest stands for all tags of its manifest.", body: wire.NoticeRequest{},
			example: wire.NoticeRequest{Reason: "it leaks memory; 1.2.4 does not"}, answer: wire.VersionInfo{}, serve: (*API).postNotice,
		}
	}
	return []*operation{
		notice("yank", "yank", "Take a version out of listings and ranges. Who names it still gets it."),
		notice("unyank", "unyank", "Put a yanked version back."),
		notice("deprecate", "deprecate", "Tell those who use a version that they should not."),
		notice("undeprecate", "undeprecate", "Take a deprecation back."),
	}
}

func policyOperations() []*operation {
	return []*operation{
		{
			id: "listPolicies", method: http.MethodGet, path: "/policies", action: policy.Administer,
			summary: "List the policies in force, by name.",
			query:   page(), answer: wire.List[wire.Policy]{}, serve: (*API).listPolicies,
		},
		{
			id: "dryRun", method: http.MethodPost, path: "/policies/dry-run", action: policy.Administer, heavy: true,
			summary: "Say which stored versions a policy would refuse or warn of today.",
			body:    wire.DryRunRequest{}, example: wire.DryRunRequest{Source: examplePolicy, Action: "push"}, maxBody: largeBody,
			answer: wire.AuditResult{},
			fails:  []wire.Code{wire.CodeInvalidPolicy, wire.CodeInvalidQuery, wire.CodeInvalidCursor, wire.CodeNotFound}, serve: (*API).postDryRun,
		},
		{
			id: "getPolicy", method: http.MethodGet, path: "/policies/{name}", action: policy.Administer, summary: "Give a policy.",
			answer: wire.Policy{}, serve: (*API).getPolicy,
		},
		{
			id: "putPolicy", method: http.MethodPut, path: "/policies/{name}", action: policy.Administer, matches: true,
			summary: "Store a policy, as a new version if there is one. The same source again changes nothing.",
			detail: "If-Match with the ETag of the policy keeps from overwriting what somebody else wrote; " +
				"If-None-Match: * makes a new policy only.",
			body: wire.PolicyRequest{}, example: wire.PolicyRequest{Source: examplePolicy}, maxBody: largeBody, answer: wire.Policy{},
			fails: []wire.Code{wire.CodeInvalidPolicy, wire.CodePrecondition}, serve: (*API).putPolicy,
		},
		{
			id: "deletePolicy", method: http.MethodDelete, path: "/policies/{name}", action: policy.Administer, matches: true,
			summary: "End a policy. Its versions stay.", status: http.StatusNoContent, fails: []wire.Code{wire.CodePrecondition},
			serve: (*API).deletePolicy,
		},
		{
			id: "listPolicyVersions", method: http.MethodGet, path: "/policies/{name}/versions", action: policy.Administer,
			summary: "List all versions of a policy, newest first.", query: page(), answer: wire.List[wire.Policy]{},
			serve: (*API).listPolicyVersions,
		},
	}
}

func trustOperations() []*operation {
	return []*operation{
		{
			id: "listKeys", method: http.MethodGet, path: "/keys", public: true,
			summary: "Give the public keys by which this installation signs, the one in use first, and former ones.",
			answer:  wire.KeyList{}, serve: (*API).listKeys,
		},
		{
			id: "getTrust", method: http.MethodGet, path: "/trust", action: policy.Administer,
			summary: "List the keys and roots that signatures are verified against.", answer: wire.Trust{}, fails: []wire.Code{wire.CodeNotFound},
			serve: (*API).getTrust,
		},
		{
			id: "putTrust", method: http.MethodPut, path: "/trust/{entry}", action: policy.Administer,
			summary: "Trust a key or root, or replace one that was added here.",
			detail:  "What was verified before is verified again. Removing a key takes its word back for everything that it ever signed.",
			body:    wire.TrustRequest{}, example: exampleTrust, maxBody: largeBody, answer: wire.TrustEntry{}, fails: []wire.Code{wire.CodeConflict},
			serve: (*API).putTrust,
		},
		{
			id: "deleteTrust", method: http.MethodDelete, path: "/trust/{entry}", action: policy.Administer, status: http.StatusNoContent,
			summary: "Trust a key or root no longer that was added here.", serve: (*API).deleteTrust,
		},
	}
}

func decisionOperations() []*operation {
	return []*operation{
		{
			id: "listDecisions", method: http.MethodGet, path: "/decisions", named: true, summary: "List what policy decided, newest first.",
			query: page(packageParam, digestParam, outcomeParam), answer: wire.List[wire.Decision]{}, serve: (*API).listDecisions,
		},
		{
			id: "listQuarantine", method: http.MethodGet, path: "/quarantine", named: true,
			summary: "List manifests that were refused and are kept for approvers.",
			query:   page(), answer: wire.List[wire.Quarantine]{}, serve: (*API).listQuarantine,
		},
		{
			id: "listApprovals", method: http.MethodGet, path: "/approvals", named: true, summary: "List the approvals in force, newest first.",
			query: page(packageParam, digestParam), answer: wire.List[wire.Approval]{}, serve: (*API).listApprovals,
		},
		{
			id: "approve", method: http.MethodPost, path: "/approvals", action: policy.Approve, status: http.StatusCreated,
			summary: "Let a digest pass in spite of a rule. Pushing it again then succeeds.",
			body:    wire.ApprovalRequest{}, example: exampleApproval, answer: wire.Approval{}, fails: []wire.Code{wire.CodeNotFound},
			serve: (*API).postApproval,
		},
		{
			id: "withdrawApproval", method: http.MethodDelete, path: "/approvals", action: policy.Approve, status: http.StatusNoContent,
			summary: "Withdraw an approval.",
			query: []param{
				{name: "package", kind: kindPackage, required: true, doc: "The package."},
				{name: "digest", kind: kindDigest, required: true, doc: "The manifest."},
				{name: "rule", kind: kindText, maxLen: 201, doc: "The rule, policy/rule; without it, the approval of every rule."},
			},
			fails: []wire.Code{wire.CodeNotFound}, serve: (*API).deleteApproval,
		},
	}
}

// Examples of bodies about native code.
var (
	exampleLease = wire.AOTLeaseRequest{
		Worker: "builder-1", Runtime: "wasmtime", Version: "39.0.1", Profile: "wreg-v1",
		Targets: []wire.AOTOffer{
			{Target: "linux/amd64/v3", CompatID: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
			{Target: "pulley64"},
		},
		WaitSeconds: 1,
	}
	exampleResult  = wire.AOTResult{Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
	exampleFailure = wire.AOTFailure{Kind: "input", Reason: "the module imports a memory of 64 bits"}
)

func variantOperations() []*operation {
	const base, lease = "/packages/{package}/versions/{version}/variants", "/aot/leases/{lease}"
	return []*operation{
		{
			id: "getVariants", method: http.MethodGet, path: base, heavy: true,
			summary: "List the native code that was made of a version, and what is being made.",
			answer:  wire.VariantList{}, serve: (*API).getVariants,
		},
		{
			id: "requestVariants", method: http.MethodPost, path: base, action: policy.Push, status: http.StatusAccepted,
			summary: "Ask for native code of a version.", detail: "It is made by workers, as soon as one takes the job.",
			body: wire.VariantRequest{}, example: wire.VariantRequest{Targets: []string{"linux/amd64/v3", "linux/arm64"}}, answer: wire.AOTJobs{},
			fails: []wire.Code{wire.CodeConflict, wire.CodeInvalidTarget}, serve: (*API).postVariants,
		},
		{
			id: "leaseJob", method: http.MethodPost, path: "/aot/leases", action: policy.AOT,
			summary: "Take a job to make native code, as a worker.",
			detail: "Who asks is known as a worker for an hour. Namespaces take turns, and so do targets. 204 says that there is no job, after " +
				"the time that the body asks to wait. Of one principal 64 requests may wait at a time; one more is 429, with Retry-After. A lease " +
				"that is not prolonged runs out, and the job is given to another.",
			body: wire.AOTLeaseRequest{}, example: exampleLease, answer: wire.AOTLease{}, none: true,
			fails: []wire.Code{wire.CodeConflict, wire.CodeTooManyRequests, wire.CodeInvalidTarget}, serve: (*API).postLease,
		},
		{
			id: "extendLease", method: http.MethodPut, path: lease, action: policy.AOT, summary: "Say that a job is still worked on.",
			answer: wire.AOTLease{}, fails: []wire.Code{wire.CodeConflict}, serve: (*API).putLease,
		},
		{
			id: "releaseLease", method: http.MethodDelete, path: lease, action: policy.AOT, status: http.StatusNoContent,
			summary: "Give a job back that nothing is wrong with.", fails: []wire.Code{wire.CodeConflict}, serve: (*API).deleteLease,
		},
		{
			id: "postResult", method: http.MethodPost, path: lease + "/result", action: policy.AOT, heavy: true,
			summary: "Say which manifest is the result of a job.",
			detail: "The worker has pushed it to the job's repository, as a referrer of the job's manifest, and its attestation behind it. It is " +
				"read whole and held against the job; one that does not fit is refused, and the job stays leased.",
			body: wire.AOTResult{}, example: exampleResult, answer: wire.AOTJob{}, fails: []wire.Code{wire.CodeConflict, wire.CodeInvalidResult},
			serve: (*API).postResult,
		},
		{
			id: "postFailure", method: http.MethodPost, path: lease + "/failure", action: policy.AOT, status: http.StatusNoContent,
			summary: "Say why a job failed.", body: wire.AOTFailure{}, example: exampleFailure, fails: []wire.Code{wire.CodeConflict},
			serve: (*API).postFailure,
		},
		{
			id: "listAOTJobs", method: http.MethodGet, path: "/aot/jobs", action: policy.AOT,
			summary: "List native code that was asked for, oldest first.",
			query: page(packageParam,
				param{name: "target", kind: kindText, maxLen: 32, doc: "Only code for this target: linux/amd64/v3."},
				param{name: "state", kind: kindText, enum: []string{"queued", "leased", "done", "failed"}, doc: "Only jobs in this state."},
			),
			answer: wire.AOTJobList{}, fails: []wire.Code{wire.CodeInvalidTarget}, serve: (*API).listAOTJobs,
		},
		{
			id: "listAOTWorkers", method: http.MethodGet, path: "/aot/workers", action: policy.AOT,
			summary: "List the workers that asked for jobs within the last hour.",
			query:   page(), answer: wire.List[wire.AOTWorker]{}, serve: (*API).listAOTWorkers,
		},
	}
}

func maintenanceOperations() []*operation {
	return []*operation{
		{
			id: "listJobs", method: http.MethodGet, path: "/jobs", action: policy.Administer, summary: "List work that is to be done, oldest first.",
			query: page(
				param{name: "kind", kind: kindText, maxLen: 100, doc: "Only jobs of this kind."},
				param{name: "state", kind: kindText, enum: []string{"waiting", "leased", "dead"}, doc: "Only jobs in this state."},
			),
			answer: wire.JobList{}, serve: (*API).listJobs,
		},
		{
			id: "retryJob", method: http.MethodPost, path: "/jobs/{id}/retry", action: policy.Administer,
			summary: "Let a dead or waiting job be done now.", answer: wire.Job{}, fails: []wire.Code{wire.CodeConflict}, serve: (*API).retryJob,
		},
		{
			id: "dropJob", method: http.MethodDelete, path: "/jobs/{id}", action: policy.Administer, status: http.StatusNoContent,
			summary: "Remove a dead or waiting job.", fails: []wire.Code{wire.CodeConflict}, serve: (*API).dropJob,
		},
		{
			id: "reindex", method: http.MethodPost, path: "/reindex", action: policy.Administer, status: http.StatusAccepted,
			summary: "Inspect and index again: a manifest, a package, or with neither everything.",
			body:    wire.ReindexRequest{}, answer: wire.Reindexed{}, fails: []wire.Code{wire.CodeNotFound, wire.CodeConflict},
			serve: (*API).postReindex,
		},
		{
			id: "streamEvents", method: http.MethodGet, path: "/events", summary: "Follow what happens, as server-sent events.",
			detail: "Each has the id and, as its data, an Event. A stream that ended goes on behind the id that the header Last-Event-ID, or " +
				"the parameter after, names; without either it begins now. An event reset says that some were forgotten meanwhile. Lines that " +
				"begin with a colon only keep the connection alive.",
			query: []param{{
				name: "after", kind: kindNumber, min: 0, max: 1<<63 - 1,
				doc: "The id of the last event that is known; 0 is the beginning.",
			}},
			formats: []format{{wire.MediaTypeEvents, ""}}, fails: []wire.Code{wire.CodeTooManyRequests}, stream: (*API).streamEvents,
		},
	}
}
