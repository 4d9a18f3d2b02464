package wasm

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// coreCases is how many binaries core-spec.zip holds.
const coreCases = 4377

// accepted is whether the specification accepts the case when every proposal
// is on, which is how Validate judges.
func (s *spec) accepted() bool {
	return s.Kind != "invalid" && s.Kind != "malformed" || len(s.OnlyWithout) > 0
}

// validate parses and validates.
func validate(file []byte) (Features, error) {
	b, err := Parse(file)
	if err != nil {
		return 0, err
	}
	return Validate(b)
}

func TestValidateAgreesWithTheSpecification(t *testing.T) {
	for _, s := range suite(t, "core-spec.zip", coreCases) {
		_, err := validate(s.data)
		checkError(t, err, len(s.data))
		if (err == nil) != s.accepted() {
			t.Errorf("Validate(%s) of %s:%d = %v; the specification says %s: %s", s.Path, s.Source, s.Line, err, s.Kind, s.Message)
		}
	}
}

// meanings are our errors in the specification's words. A message means the
// first error whose words it contains.
var meanings = []struct {
	words string
	errs  []error
}{
	{"sub type", []error{ErrSubType, ErrDescriptor, ErrUnknownType}},
	{"type mismatch", []error{ErrType}},
	{"array type is not numeric", []error{ErrType}},
	{"alignment must not", []error{ErrAlignment}},
	{"unknown memory", []error{ErrUnknownMemory}},
	{"unknown table", []error{ErrUnknownTable}},
	{"unknown type", []error{ErrUnknownType}},
	{"unknown global", []error{ErrUnknownGlobal}},
	{"unknown function", []error{ErrUnknownFunc}},
	{"unknown local", []error{ErrUnknownLocal}},
	{"unknown label", []error{ErrUnknownLabel}},
	{"unknown tag", []error{ErrUnknownTag}},
	{"unknown data segment", []error{ErrUnknownData, ErrDataCount}},
	{"unknown elem segment", []error{ErrUnknownElem}},
	{"invalid lane index", []error{ErrLane}},
	{"constant expression required", []error{ErrConstExpr}},
	{"duplicate export name", []error{ErrDuplicateExport}},
	{"invalid custom page size", []error{ErrPageSize, ErrCode}},
	{"memory size", []error{ErrMemorySize}},
	{"table size", []error{ErrTableSize}},
	{"offset out of range", []error{ErrOffset}},
	{"size minimum", []error{ErrRange}},
	{"descri", []error{ErrDescriptor, ErrType, ErrUnknownType}},
	{"immutable", []error{ErrImmutable}},
	{"array types do not match", []error{ErrArrayType}},
	{"invalid rethrow label", []error{ErrRethrow}},
	{"invalid result arity", []error{ErrArity}},
	{"start function", []error{ErrStart}},
	{"uninitialized local", []error{ErrUninitialized}},
	{"undeclared function reference", []error{ErrUndeclared}},

	{"malformed UTF-8", []error{ErrUTF8}},
	{"integer too large", []error{ErrTooLarge, ErrTooLong}},
	{"integer representation too long", []error{ErrTooLong, ErrTooLarge}},
	{"unexpected content after last section", []error{ErrOrder}},
	{"magic header", []error{ErrMagic, ErrTruncated}},
	{"unexpected end", []error{ErrTruncated, ErrMismatch}},
	{"unknown binary version", []error{ErrVersion, ErrTruncated}},
	{"malformed section id", []error{ErrCode}},
	{"malformed", []error{ErrCode}},
	{"section size mismatch", []error{ErrMismatch, ErrTruncated}},
	{"inconsistent lengths", []error{ErrMismatch}},
	{"length out of bounds", []error{ErrTruncated}},
	{"too many locals", []error{ErrLimit}},
	{"data count section required", []error{ErrDataCount}},
	{"illegal opcode", []error{ErrOpcode, ErrConstExpr}},
}

func TestErrorsMeanWhatTheSpecificationSays(t *testing.T) {
	for _, s := range suite(t, "core-spec.zip", coreCases) {
		if s.accepted() || deviations[s.Path] != "" {
			continue
		}
		i := slices.IndexFunc(meanings, func(m struct {
			words string
			errs  []error
		},
		) bool {
			return strings.Contains(s.Message, m.words)
		})
		if i < 0 {
			t.Errorf("%s: no error means %q", s.Path, s.Message)
			continue
		}
		_, err := validate(s.data)
		if !slices.ContainsFunc(meanings[i].errs, func(want error) bool { return errors.Is(err, want) }) {
			t.Errorf("Validate(%s) of %s:%d = %v; want the meaning of %q", s.Path, s.Source, s.Line, err, s.Message)
		}
	}
}

// deviations are the cases refused for another reason than the specification's;
// docs/spec/wasm.md explains each.
var deviations = map[string]string{
	"core/binary-leb128/binary-leb128.25.wasm":               "limits have 64 bits in WebAssembly 3.0; the section ends inside the number",
	"core/binary-leb128/binary-leb128.26.wasm":               "limits have 64 bits in WebAssembly 3.0; the section ends inside the number",
	"core/binary-leb128/binary-leb128.48.wasm":               "limits have 64 bits in WebAssembly 3.0; the section ends inside the number",
	"core/binary-leb128/binary-leb128.49.wasm":               "limits have 64 bits in WebAssembly 3.0; the section ends inside the number",
	"core/binary-leb128/binary-leb128.50.wasm":               "limits have 64 bits in WebAssembly 3.0; the section ends inside the number",
	"core/binary-leb128/binary-leb128.36.wasm":               "the section ends inside the number",
	"core/binary-leb128/binary-leb128.65.wasm":               "the size of the section is wrong, too, and read first",
	"core/binary-leb128/binary-leb128.66.wasm":               "the size of the section is wrong, too, and read first",
	"core/binary-leb128/binary-leb128.72.wasm":               "the size of the section is wrong, too, and read first",
	"core/binary/binary.76.wasm":                             "the count is held against the bytes left before an entry is read",
	"core/binary/binary.81.wasm":                             "the count is held against the bytes left before an entry is read",
	"core/proposals/custom-page-sizes/binary/binary.81.wasm": "the count is held against the bytes left before an entry is read",
}

// What the specification calls malformed, the decoder refuses where it looks;
// and it accepts all that is valid.
func TestDecodeAcceptsTheValid(t *testing.T) {
	for _, s := range append(suite(t, "core-spec.zip", coreCases), suite(t, "component-spec.zip", 592)...) {
		_, err := Decode(bytes.NewReader(s.data), int64(len(s.data)))
		checkError(t, err, len(s.data))
		if err != nil && s.accepted() {
			t.Errorf("Decode(%s) = %v, but it is %s", s.Path, err, s.Kind)
		}
	}
}

// The features of the suite's index were measured by switching them off in
// engines, one by one. What we ask for besides is listed with the number of
// cases and a reason.
func TestFeaturesAreThoseThatEnginesNeed(t *testing.T) {
	measured := []string{
		"multi-value", "bulk-memory", "reference-types", "simd", "relaxed-simd", "tail-call", "function-references", "gc",
		"multi-memory", "memory64", "exceptions", "threads", "custom-page-sizes", "wide-arithmetic", "custom-descriptors",
		"legacy-exceptions",
	}
	more := map[string]int{}
	for _, s := range suite(t, "core-spec.zip", coreCases) {
		if s.Kind == "invalid" || s.Kind == "malformed" {
			continue
		}
		used, err := validate(s.data)
		if err != nil {
			t.Errorf("Validate(%s) = %v", s.Path, err)
			continue
		}
		for _, f := range measured {
			got, want := slices.Contains(used.List(), f), slices.Contains(s.Features, f)
			if want && !got {
				t.Errorf("Validate(%s) asks for %v; want %v", s.Path, used, s.Features)
			}
			if got && !want {
				more[f]++
			}
		}
	}
	want := map[string]int{
		"bulk-memory": 5, // a data count section, which the engine measured takes without the feature
		"tail-call":   6, // with return_call_ref, or with legacy exceptions where no other engine could be asked
		"multi-value": 4, // a block with a type index, in an engine that cannot switch it off
	}
	if diff := cmp.Diff(want, more); diff != "" {
		t.Errorf("features beyond those measured (-want +got):\n%s", diff)
	}
}

// Every beginning of a small module and every flip of one of its bits is judged
// with a place inside the file, or accepted.
func TestDamagedModulesAreJudged(t *testing.T) {
	judged, refused := 0, 0
	judge := func(path string, file []byte) {
		_, err := validate(file)
		if checkError(t, err, len(file)); t.Failed() {
			t.Fatalf("that was %s as % x", path, file)
		}
		judged++
		if err != nil {
			refused++
		}
	}
	for i, s := range suite(t, "core-spec.zip", coreCases) {
		if !s.accepted() || len(s.data) > 250 || i%24 != 0 {
			continue
		}
		for n := range s.data {
			judge(s.Path, s.data[:n])
		}
		for bit := range 8 * len(s.data) {
			flipped := bytes.Clone(s.data)
			flipped[bit/8] ^= 1 << (bit % 8)
			judge(s.Path, flipped)
		}
	}
	if judged < 20_000 || refused < judged/2 {
		t.Errorf("%d damaged modules, %d of them refused; want at least 20,000 and half of them", judged, refused)
	}
}
