package native

import (
	"strconv"
	"strings"
)

// bannerTable has the texts that carry a version. The comment beside an entry
// says where the text comes from if that is not its name.
var bannerTable = []banner{
	// Programs and interpreters.
	{"7-zip", []string{"7-Zip ("}, `^\n?7-Zip \([a-z]+\) (\d\d\.\d\d) .*Igor Pavlov`, nil},
	{"imagemagick", []string{"ImageMagick "}, `^ImageMagick (\d+\.\d+\.\d+-\d+) (?:beta )?Q\d`, nil},
	{"graphicsmagick", []string{"GraphicsMagick "}, `^GraphicsMagick (1\.\d+(?:\.\d+)?) \d{4}-?\d\d-?\d\d Q\d`, nil},
	{"lua", []string{"  Copyright (C) 1994-20"}, `(?:^|LuaVersion: )Lua (5\.\d\.\d+)  Copyright \(C\) 1994-20\d\d Lua\.org`, nil},
	{"luajit", []string{"LuaJIT 2."}, `^LuaJIT (2\.\d\.[0-9a-z.-]+)$`, nil},
	{"lpeg", []string{"LPeg 1."}, `^LPeg (1\.\d+\.\d+)$`, nil},
	{"micropython", []string{"MicroPython v"}, `^MicroPython v(\d+\.\d+(?:\.\d+)?) on \d{4}-\d\d-\d\d; `, nil},
	{"php", []string{"X-Powered-By: PHP/"}, `^X-Powered-By: PHP/(\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)$`, nil},
	{"postgresql", []string{"PostgreSQL "}, `^PostgreSQL (\d+(?:\.\d+)+(?:(?:beta|rc)\d+)?) (?:\([^()]*\) )?on \S+, compiled by `, nil},
	{"quickjs", []string{"QuickJS memory usage -- "}, `^QuickJS memory usage -- (?:BigNum )?(\d{4}-\d\d-\d\d) version, `, nil},
	{"quickjs-ng", []string{"QuickJS-ng memory usage -- "}, `^QuickJS-ng memory usage -- (\d+\.\d+\.\d+) version, `, nil},
	{"ruby", []string{" revision "}, `^ruby (\d\.\d+\.\d+)(?:p\d+|preview\d+|rc\d+)? \(\d{4}-\d\d-\d\d [^()]*revision [0-9a-f]+\) [+\[]`, nil},

	// Cryptography and networks.
	{
		"openssl",
		[]string{"OpenSSL 1.", "OpenSSL 3.", "OpenSSL 4."},
		`^OpenSSL (\d\.\d\.\d+[a-z]{0,2})(?:-fips)?  ?\d{1,2} [A-Z][a-z]{2} 20\d\d$`, nil,
	},
	{"boringssl", []string{"(compatible; BoringSSL)"}, `^OpenSSL 1\.1\.[01][a-z]? \(compatible; BoringSSL\)()$`, nil},
	{"libressl", []string{"LibreSSL "}, `^LibreSSL (\d+\.\d+\.\d+)$`, nil},
	{"mbedtls", []string{"Mbed TLS ", "mbed TLS "}, `^[Mm]bed TLS (\d\.\d+\.\d+)$`, nil},
	{"libgcrypt", []string{"This is Libgcrypt "}, `This is Libgcrypt (\d+\.\d+\.\d+) - `, nil},
	{"libgpg-error", []string{"This is Libgpg-error "}, `This is Libgpg-error (\d+\.\d+) - `, nil},
	{"curl", []string{"CLIENT libcurl ", "libcurl/"}, `^(?:CLIENT libcurl |libcurl/)(\d\.\d+\.\d+(?:-DEV)?)(?:\r\n|$)`, nil},
	{"libssh2", []string{"SSH-2.0-libssh2_"}, `^SSH-2\.0-libssh2_(\d+\.\d+\.\d+)(?:\r\n)?$`, nil},

	// Pictures.
	{"libjpeg-turbo", []string{"libjpeg-turbo version "}, `^libjpeg-turbo version (\d+\.\d+\.\d+) \(build \d+\)$`, nil},
	{"mozjpeg", []string{"mozjpeg version "}, `^mozjpeg version (\d+\.\d+\.\d+) \(build \d+\)$`, nil},
	{"libpng", []string{"libpng version "}, `^\n? ?libpng version (1\.\d+\.\d+)(?: |\n|$)`, nil},
	{"libtiff", []string{"LIBTIFF, Version "}, `^LIBTIFF, Version (\d\.\d+\.\d+)\nCopyright`, nil},
	{"libraw", []string{"-Release"}, `^(0\.\d\d\.\d+)-Release$`, nil},
	{"leptonica", []string{"leptonica-"}, `^leptonica-(1\.\d+\.\d+)$`, nil},
	{"opencv", []string{"General configuration for OpenCV "}, `^\n?General configuration for OpenCV (\d+\.\d+\.\d+) =`, nil},

	// Sound and film.
	{"libaom", []string{"AOMedia Project AV1 "}, `^AOMedia Project AV1 (?:De|En)coder v?(\d+\.\d+\.\d+)$`, nil},
	{"libvpx", []string{"WebM Project VP8 ", "WebM Project VP9 "}, `^WebM Project VP[89] (?:De|En)coder v(\d+\.\d+\.\d+)$`, nil},
	{"libavcodec", numbered("Lavc", 56, 63), `^Lavc(\d+\.\d+\.\d+)$`, nil},
	{"libavformat", numbered("Lavf", 56, 63), `^Lavf(\d+\.\d+\.\d+)$`, nil},
	{"opus", []string{"libopus "}, `^libopus (1\.\d(?:\.\d+)?)$`, nil},
	{"libvorbis", []string{"Xiph.Org libVorbis "}, `^Xiph\.Org libVorbis (?:(1\.\d\.\d)$|I 20)`, nil},
	{"libtheora", []string{"Xiph.Org libtheora "}, `^Xiph\.Org libtheora (\d+\.\d+(?:\.\d+)?) 20`, nil},
	{"flac", []string{"reference libFLAC "}, `^reference libFLAC (1\.\d\.\d+) 20\d{6}$`, nil},
	{"libsndfile", []string{"libsndfile-1."}, `^libsndfile-(1\.\d+\.\d+)$`, nil},
	{
		"sdl",
		[]string{"SDL-release-", "SDL-2.2", "SDL-2.3", "SDL-3.2", "SDL-3.4"},
		`^SDL-(?:release-)?([23]\.\d+\.\d+)(?:-\d+-g[0-9a-f]+)?$`, nil,
	},

	// Text, data and maps.
	{"abseil-cpp", []string{"4absl12lts_"}, `4absl12lts_(20\d{6})`, nil}, // the inline namespace in names of types
	{"boost", []string{"/boost_1_"}, `/boost_(1_\d\d_\d)/boost/`, dots},
	{"bzip2", []string{", 13-Jul-2019", ", 6-Sept-2010"}, `^(1\.0\.\d), \d{1,2}-[A-Z][a-z]{2,3}-20\d\d$`, nil},
	{"expat", []string{"expat_2."}, `^expat_(2\.\d+\.\d+)$`, nil},
	{"icu", []string{"/share/icu/"}, `/share/icu/(\d\d\.\d+(?:\.\d+)?)/?$`, nil}, // U_ICU_DATA_DEFAULT_DIR
	{"libarchive", []string{"libarchive 3."}, `^libarchive (3\.\d+\.\d+)$`, nil},
	{"libxml2", []string{"-GITv2."}, `^2\d{4}-GITv(2\.\d+\.\d+)(?:$|-)`, nil},
	{"libxslt", []string{"-GITv1."}, `^1\d{4}-GITv(1\.1\.\d+)(?:$|-)`, nil},
	{"gdal", []string{", released 20"}, `^GDAL (\d+\.\d+\.\d+), released 20`, nil},
	{"geos", []string{"-CAPI-1."}, `^(3\.\d+\.\d+)(?:dev)?-CAPI-1\.\d+\.\d+$`, nil},
	{
		"proj",
		[]string{", January ", ", February ", ", March 1", ", August ", ", September ", ", October ", ", November ", ", December "},
		`^Rel\. (\d+\.\d+\.\d+), [A-Z][a-z]+ \d{1,2}(?:st|nd|rd|th), 20\d\d$`, nil,
	},
}

// libraryTable has the libraries that are known by texts that do not carry a
// version, and the form of the version that they have as a text of its own.
var libraryTable = []library{
	{"sqlite", []string{"unable to use function %s in the requested context", "SQLite format 3"}, nil, `(3\.[2-9]\d\.\d{1,2})`},
	{"openssl", []string{"OpenSSL Default Provider"}, nil, `(3\.[0-9]\.\d{1,2})`},
	{
		"curl",
		[]string{"Got HTTP failure 417 while waiting for a 100", "A libcurl function was given a bad argument"},
		[]string{"X-Powered-By: PHP/"}, // whose version has the same form
		`([78]\.\d{1,2}\.[0-4](?:-DEV)?)`,
	},
	{"mbedtls", []string{"X509 - Unavailable feature, e.g. RSA hashing/encryption combination"}, nil, ""},
	{
		"nghttp2", []string{
			"Flooding was detected in this HTTP/2 session, and it must be closed",
			"The user callback function failed due to the temporal error",
		}, nil, `(1\.\d\d\.\d)`,
	},
	{"libpng", []string{"libpng error: %s", "libpng warning: %s"}, nil, `(1\.6\.[1-9]\d)`},
	{
		"zlib",
		[]string{"incorrect header check", "invalid distance too far back"},
		[]string{"zlib-rs", ".zlib-ng"}, // ports that have its texts
		`(1\.2\.(?:8|11|12|13)|1\.3\.[12]|1\.3\.0\.1-motley)|1\.[23](?:\.\d{1,2}){1,2}`,
	},
	{"zlib-ng", []string{"incorrect header check", "invalid distance too far back", ".zlib-ng"}, nil, ""},
	{"pcre2", []string{"missing terminating ] for character class", "UTF-8 error: 1 byte missing at end"}, nil, `(10\.\d\d) 20\d\d-\d\d-\d\d`},
	{"libvips", []string{"VipsForeignLoad", "VipsOperation"}, nil, `(8\.\d{1,2}\.\d{1,2})`},
	{"zstd", []string{"Frame requires too much memory for decoding", "Unsupported frame parameter"}, nil, `(1\.[45]\.\d)`},
	{"lz4", []string{"ERROR_frameHeader_incomplete", "ERROR_contentChecksum_invalid"}, nil, `(1\.(?:[89]|10)\.\d)`},
	{"bzip2", []string{"This is a bug in bzip2/libbzip2"}, nil, ""},
	{"python", []string{"Fatal Python error: ", "PYTHONHOME"}, nil, `(3\.(?:[5-9]|1\d)\.\d{1,2}(?:(?:a|b|rc)\d)?)`},
	{"oniguruma", []string{"You didn't call onig_initialize() explicitly"}, nil, ""},
	{"freetype", []string{"FREETYPE_PROPERTIES", "no-stem-darkening"}, nil, ""},
	{"harfbuzz", []string{"HB_SHAPER_LIST"}, nil, ""},
	{"libwebp", []string{"Premature end-of-partition0 encountered.", "cannot parse segment header"}, nil, ""},
	{"libtiff", []string{"TIFFFetchNormalTag", "TIFFReadDirectory"}, nil, ""},
	{"lcms2", []string{"Couldn't link the profiles", "Unknown tag type '%s' found."}, nil, ""},
	{"libavif", []string{"Multiple Box[ipma] with a given pair of values of version and flags"}, nil, ""},
	{"glib", []string{"GLib-GObject", "value_to_ffi_type: Unsupported fundamental type: %s"}, nil, ""},
	{"expat", []string{"expat_heap_increase_tolerable"}, nil, ""},
	{"libheif", []string{"heif_writer callback returned a null error text"}, nil, ""},
	{"libultrahdr", []string{"resources required for uhdr_encode() operation are not present"}, nil, ""},
	{"libimagequant", []string{"liq_result", "liq_remapping_result"}, nil, ""},
	{"tesseract", []string{"TESSDATA_PREFIX", "Failed loading language '%s'"}, nil, ""},
	{"protobuf", []string{"Protocol Buffer runtime library, but the installed version is"}, nil, ""},
	{"mimalloc", []string{"mimalloc: warning: ", "mimalloc: error: "}, nil, ""},
	{"duckdb", []string{"Returns the currently active version of DuckDB"}, nil, ""},
}

// numbered gives prefix with the numbers from first to last and a dot.
func numbered(prefix string, first, last int) []string {
	var list []string
	for n := first; n <= last; n++ {
		list = append(list, prefix+strconv.Itoa(n)+".")
	}
	return list
}

// dots writes a version with dots instead of underscores.
func dots(s string) string { return strings.ReplaceAll(s, "_", ".") }
