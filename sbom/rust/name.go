package rust

import (
	"strings"

	"github.com/Masterminds/semver/v3"
)

// MaxName is the most bytes that the registry lets the name of a crate have
// (cargo's reference, "Registry Web API").
const MaxName = 64

// SplitDirectory splits the name of a directory in which cargo keeps a crate,
// "toml_edit-0.25.18+spec-1.1.0", into name and version. Names have no dot, so the
// hyphen before the version is the last one before the first dot.
func SplitDirectory(dir string) (name, version string, ok bool) {
	dot := strings.IndexByte(dir, '.')
	if dot < 0 {
		return "", "", false
	}
	hyphen := strings.LastIndexByte(dir[:dot], '-')
	if hyphen < 0 {
		return "", "", false
	}
	name, version = dir[:hyphen], dir[hyphen+1:]
	if !isCrateName(name) {
		return "", "", false
	}
	if _, err := semver.StrictNewVersion(version); err != nil {
		return "", "", false
	}
	return name, version, true
}

// isCrateName reports whether the registry would take a name: a letter, then
// letters, digits, hyphens and underscores, all ASCII.
func isCrateName(s string) bool {
	if s == "" || len(s) > MaxName || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if b := s[i]; !isLetter(b) && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return true
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// isNameByte recognises what the names of crates, versions and files of source
// consist of.
func isNameByte(b byte) bool { return bytesOf[b]&inName != 0 }

// isPathByte recognises the same and what stands between such names.
func isPathByte(b byte) bool { return bytesOf[b]&inPath != 0 }

const (
	inName = 1 << iota
	inPath
)

// bytesOf are the kinds of each byte.
var bytesOf = func() (kinds [256]byte) {
	for i := range kinds {
		b := byte(i)
		if isLetter(b) || b >= '0' && b <= '9' || b == '-' || b == '_' || b == '.' || b == '+' {
			kinds[i] = inName | inPath
		}
	}
	kinds['/'], kinds['\\'] = inPath, inPath
	return kinds
}()

func isHexByte(b byte) bool { return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' }

func isHex(s string) bool {
	for i := range len(s) {
		if !isHexByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// cutHash takes the hyphen and the 16 hexadecimal digits off a directory that
// cargo has named after the address of a registry or repository.
func cutHash(dir string) (name string, ok bool) {
	i := len(dir) - len("-0123456789abcdef")
	if i < 0 || dir[i] != '-' || !isHex(dir[i+1:]) {
		return "", false
	}
	return dir[:i], true
}

// stdFamily are the crates of Rust's standard library and those it has been built
// from, in their canonical names (library/Cargo.lock of rustc's source).
var stdFamily = set("core", "alloc", "std", "std_detect", "proc_macro", "test", "panic_abort", "panic_unwind", "unwind",
	"rustc_std_workspace_core", "rustc_std_workspace_alloc", "rustc_std_workspace_std", "portable_simd", "core_simd", "core_arch",
	"stdarch", "backtrace", "alloc_system", "alloc_jemalloc", "profiler_builtins", "sysroot", "coretests", "alloctests", "std_float",
	"compiler_builtins", "dlmalloc", "rustc_demangle", "hashbrown", "addr2line", "gimli", "object", "miniz_oxide", "adler", "adler2",
	"memchr", "libc", "cfg_if", "getopts", "unicode_width", "wasi", "wasip1", "wasip2", "allocator_api2", "hermit_abi",
	"fortanix_sgx_abi", "r_efi", "r_efi_alloc", "unwinding")

// stdOnly are those of stdFamily that on WebAssembly hardly anyone but the
// standard library uses.
var stdOnly = set("compiler_builtins", "dlmalloc", "panic_abort", "panic_unwind", "unwind",
	"rustc_std_workspace_core", "rustc_std_workspace_alloc", "rustc_std_workspace_std", "fortanix_sgx_abi")

func set(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}
