package signal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
)

// A magic is a kind of file that is known by the bytes it begins with. Check
// looks at the bytes from the magic number on, tells what the file is, and how
// many bytes it takes if its header says so; "" means that it is no such file.
type magic struct {
	magic string
	rule  rule // ruleCount for what is nothing to report
	score int
	check func(b []byte) (what string, size int)

	// before is how far into the file the magic number is.
	before int
}

var magics = []magic{
	{magic: "\x00asm", rule: ruleEmbeddedWasm, score: 50, check: checkWasm},
	{magic: "\x7fELF", rule: ruleEmbeddedExecutable, score: 75, check: checkELF},
	{magic: "PE\x00\x00", rule: ruleEmbeddedExecutable, score: 75, check: checkPE},
	{magic: "\xcf\xfa\xed\xfe", rule: ruleEmbeddedExecutable, score: 75, check: checkMachO},
	{magic: "\xce\xfa\xed\xfe", rule: ruleEmbeddedExecutable, score: 75, check: checkMachO},
	{magic: "\xca\xfe\xba\xbe", rule: ruleEmbeddedExecutable, score: 60, check: checkCafeBabe},
	{magic: "\x00aot", rule: ruleEmbeddedExecutable, score: 75, check: checkCode},
	{magic: "wasmer-universal", rule: ruleEmbeddedExecutable, score: 75, check: checkCode},
	{magic: "WASMER\x00\x00", rule: ruleEmbeddedExecutable, score: 75, check: checkCode},
	{magic: "\x1bLua", rule: ruleEmbeddedExecutable, score: 45, check: checkLua},
	{magic: "WbIL", rule: ruleEmbeddedExecutable, score: 15, check: checkWebcil},
	{magic: "\x1f\x8b\x08", rule: ruleEmbeddedArchive, score: 15, check: checkGzip},
	{magic: "\x28\xb5\x2f\xfd", rule: ruleEmbeddedArchive, score: 15, check: checkZstd},
	{magic: "PK\x03\x04", rule: ruleEmbeddedArchive, score: 15, check: checkZip},
	{magic: "\xfd7zXZ\x00", rule: ruleEmbeddedArchive, score: 15, check: checkXZ},
	{magic: "7z\xbc\xaf\x27\x1c", rule: ruleEmbeddedArchive, score: 15, check: check7z},
	{magic: "BZh", rule: ruleEmbeddedArchive, score: 15, check: checkBzip2},
	{magic: "ustar", rule: ruleEmbeddedArchive, score: 15, check: checkTar, before: tarMagic},
	{magic: "\x02\x01\x00\x02\x82", rule: rulePrivateKey, score: 85, check: checkRSA, before: 4},
	{magic: "\x89PNG\r\n\x1a\n", rule: ruleCount, check: func([]byte) (string, int) { return "PNG image", 0 }},
	{magic: "wOF2", rule: ruleCount, check: func([]byte) (string, int) { return "WOFF2 font", 0 }},
}

// magics looks at the magic numbers that byte j and the next fit.
func (s *scanner) magics(j int) {
	b := s.span.Bytes
	for _, k := range magicsByPair[magicPairs[binary.LittleEndian.Uint16(b[j:])]] {
		m, i := &magics[k.magic], j-k.at
		if i < m.before || !bytes.HasPrefix(b[i:], []byte(m.magic)) || m.rule == ruleEmbeddedWasm && i < s.nested {
			continue
		}
		var what string
		var size int
		if m.before > 0 {
			what, size = m.check(b[i-m.before:])
		} else {
			what, size = m.check(b[i:])
		}
		if what != "" {
			s.embedded(m, i-m.before, what, size)
		}
	}
}

func (s *scanner) embedded(m *magic, i int, what string, size int) {
	if n := len(s.extents); n > 0 && s.extents[n-1].what == what && m.magic == "PK\x03\x04" {
		s.extents[n-1].end = i + size // another entry of the same archive
		return
	}
	if m.rule == ruleEmbeddedWasm {
		// What is inside is part of it, and following its sections for each
		// header inside would take quadratic time.
		s.nested = i + size
	}
	if len(s.extents) < maxExtents {
		s.extents = append(s.extents, extent{start: i, end: i + size, what: what})
	}
	switch {
	case m.rule == ruleCount:
		return
	case s.section != "" && m.rule == ruleEmbeddedExecutable && m.score == 75:
		s.f.add(rulePrecompiledSection, 95, s.place(i), func() string { return what + " in section " + s.section })
		return
	}
	s.f.add(m.rule, m.score, s.place(i), func() string {
		if size > 0 {
			return what + ", " + strconv.Itoa(size) + " bytes"
		}
		return what
	})
}

// maxExtents bounds the known contents kept of one span.
const maxExtents = 1000

// checkWasm follows the sections. A program that reads WebAssembly has the
// header among its literals, so two sections must be there.
func checkWasm(b []byte) (string, int) {
	if len(b) < 8 {
		return "", 0
	}
	var kind string
	last := byte(13)
	switch string(b[4:8]) {
	case "\x01\x00\x00\x00":
		kind = "core module"
	case "\x0d\x00\x01\x00":
		kind, last = "component", 12
	default:
		return "", 0
	}
	at, sections := 8, 0
	for at < len(b) && b[at] <= last {
		size, n := binary.Uvarint(b[at+1 : min(len(b), at+6)])
		if n <= 0 || size == 0 || size > uint64(len(b)-at-1-n) {
			break
		}
		at += 1 + n + int(size)
		sections++
	}
	if sections < 2 {
		return "", 0
	}
	return kind, at
}

// checkELF tells the files that wasmtime writes from others.
func checkELF(b []byte) (string, int) {
	if len(b) < 52 || b[4] != 1 && b[4] != 2 || b[5] != 1 && b[5] != 2 || b[6] != 1 {
		return "", 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[5] == 2 {
		order = binary.BigEndian
	}
	kind, machine, version := order.Uint16(b[16:]), order.Uint16(b[18:]), order.Uint32(b[20:])
	header := 40
	if b[4] == 2 {
		header = 52
	}
	if len(b) < header+2 || version != 1 || kind > 4 {
		return "", 0
	}
	if size := order.Uint16(b[header:]); size != 52 && size != 64 {
		return "", 0
	}
	if what, _ := checkCode(b); what != "" {
		return what, 0
	}
	return "ELF for " + elfMachine(machine), 0
}

func elfMachine(m uint16) string {
	switch m {
	case 3:
		return "x86"
	case 40:
		return "arm"
	case 62:
		return "x86-64"
	case 183:
		return "aarch64"
	case 243:
		return "riscv"
	case 247:
		return "bpf"
	}
	return "machine " + strconv.Itoa(int(m))
}

// checkPE checks the header that the stub of DOS points to.
func checkPE(b []byte) (string, int) {
	if len(b) < 26 {
		return "", 0
	}
	machine, sections := binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:])
	optional := binary.LittleEndian.Uint16(b[24:])
	if sections == 0 || sections > 96 || optional != 0x10b && optional != 0x20b {
		return "", 0
	}
	switch machine {
	case 0x14c:
		return "PE for x86", 0
	case 0x8664:
		return "PE for x86-64", 0
	case 0x1c4:
		return "PE for arm", 0
	case 0xaa64:
		return "PE for aarch64", 0
	}
	return "", 0
}

func checkMachO(b []byte) (string, int) {
	if len(b) < 28 {
		return "", 0
	}
	cpu, kind := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[12:])
	commands, size := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
	if kind == 0 || kind > 12 || commands == 0 || commands > 1000 || size < 8*commands || size > 1<<20 {
		return "", 0
	}
	switch cpu {
	case 7, 12:
		return "Mach-O, 32 bits", 0
	case 7 | 1<<24:
		return "Mach-O for x86-64", 0
	case 12 | 1<<24:
		return "Mach-O for aarch64", 0
	}
	return "", 0
}

// checkCafeBabe tells Mach-O files of several architectures from Java classes.
func checkCafeBabe(b []byte) (string, int) {
	if len(b) < 28 {
		return "", 0
	}
	n := binary.BigEndian.Uint32(b[4:])
	switch major := n & 0xffff; {
	case n >= 1 && n <= 20:
		if cpu := binary.BigEndian.Uint32(b[8:]) &^ (1 << 24); cpu == 7 || cpu == 12 {
			return "Mach-O for several architectures", 0
		}
	case n>>16 <= 3 && major >= 45 && major <= 80:
		if tag := b[10]; binary.BigEndian.Uint16(b[8:]) > 1 && tag >= 1 && tag <= 20 {
			return "Java class", 0
		}
	}
	return "", 0
}

func checkLua(b []byte) (string, int) {
	if len(b) < 12 || b[4] < 0x50 || b[4] > 0x55 || b[5] != 0 {
		return "", 0
	}
	return fmt.Sprintf("byte code of Lua %d.%d", b[4]>>4, b[4]&15), 0
}

func checkWebcil(b []byte) (string, int) {
	if len(b) < 28 || binary.LittleEndian.Uint16(b[4:]) > 1 || binary.LittleEndian.Uint16(b[6:]) > 1 {
		return "", 0
	}
	if n := binary.LittleEndian.Uint16(b[8:]); n == 0 || n > 16 || binary.LittleEndian.Uint16(b[10:]) != 0 {
		return "", 0
	}
	return ".NET assembly (webcil)", 0
}

// checkGzip checks the header of RFC 1952 and that of the first block (RFC 1951).
func checkGzip(b []byte) (string, int) {
	if len(b) < 18 {
		return "", 0
	}
	flags, when, extra, system := b[3], binary.LittleEndian.Uint32(b[4:]), b[8], b[9]
	const year2000 = 946684800
	if flags&0xe0 != 0 || when != 0 && when < year2000 || extra != 0 && extra != 2 && extra != 4 || system > 13 && system != 255 {
		return "", 0
	}
	at := 10
	if flags&0x1e == 0 && !isDeflate(b[at:]) {
		return "", 0
	}
	return "gzip data", 0
}

func isDeflate(b []byte) bool {
	switch b[0] >> 1 & 3 {
	case 0:
		return b[0]>>3 == 0 && binary.LittleEndian.Uint16(b[1:]) == ^binary.LittleEndian.Uint16(b[3:])
	case 2:
		return b[0]>>3 <= 29 && b[1]&0x1f <= 29
	}
	return b[0]>>1&3 == 1
}

// checkZstd checks the header of a frame and of its first block (RFC 8878).
func checkZstd(b []byte) (string, int) {
	if len(b) < 18 || b[4]&0x08 != 0 {
		return "", 0
	}
	single, size := b[4]>>5&1, 1<<(b[4]>>6)
	if b[4]>>6 == 0 && single == 0 {
		size = 0
	}
	at := 5 + int(1-single) + size + []int{0, 1, 2, 4}[b[4]&3]
	if at+3 > len(b) {
		return "", 0
	}
	block := int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16
	if block>>1&3 == 3 || block>>3 > 128<<10 || block>>3 == 0 {
		return "", 0
	}
	return "zstd data", 0
}

// checkZip checks the header of an entry (APPNOTE.TXT, section 4.3.7).
func checkZip(b []byte) (string, int) {
	if len(b) < 31 {
		return "", 0
	}
	version, method := binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[8:])
	name, extra := int(binary.LittleEndian.Uint16(b[26:])), int(binary.LittleEndian.Uint16(b[28:]))
	size := int64(binary.LittleEndian.Uint32(b[18:]))
	if version&0xff > 63 || method > 99 || name == 0 || name > 512 || 30+name > len(b) {
		return "", 0
	}
	for _, c := range b[30 : 30+name] {
		if c < 0x20 || c == 0x7f {
			return "", 0
		}
	}
	return "zip archive", int(min(int64(30+name+extra)+size, int64(len(b))))
}

// checkXZ checks the flags of the stream and their checksum.
func checkXZ(b []byte) (string, int) {
	if len(b) < 12 || b[6] != 0 || crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:]) {
		return "", 0
	}
	return "xz data", 0
}

// check7z checks the start header and its checksum.
func check7z(b []byte) (string, int) {
	if len(b) < 32 || b[6] != 0 || crc32.ChecksumIEEE(b[12:32]) != binary.LittleEndian.Uint32(b[8:]) {
		return "", 0
	}
	return "7-Zip archive", 0
}

func checkBzip2(b []byte) (string, int) {
	if len(b) < 14 || b[3] < '1' || b[3] > '9' || string(b[4:10]) != "\x31\x41\x59\x26\x53\x59" {
		return "", 0
	}
	return "bzip2 data", 0
}

// tarMagic is where a header of a tar archive has its magic number.
const tarMagic = 257

// checkTar checks the checksum of a header.
func checkTar(b []byte) (string, int) {
	const size, field = 512, 148
	if len(b) < size {
		return "", 0
	}
	sum := 8 * int(' ')
	for i, c := range b[:size] {
		if i < field || i >= field+8 {
			sum += int(c)
		}
	}
	want, err := strconv.ParseUint(string(bytes.Trim(b[field:field+8], " \x00")), 8, 32)
	if err != nil || int(want) != sum {
		return "", 0
	}
	return "tar archive", 0
}

// checkRSA recognises the DER form of RFC 8017, appendix A.1.2: a version, a
// modulus and the public exponent 65537.
func checkRSA(b []byte) (string, int) {
	if len(b) < 16 || b[0] != 0x30 || b[1] != 0x82 {
		return "", 0
	}
	modulus := int(binary.BigEndian.Uint16(b[9:]))
	end := 11 + modulus
	if modulus < 128 || modulus > 1025 || end+5 > len(b) || string(b[end:end+5]) != "\x02\x03\x01\x00\x01" {
		return "", 0
	}
	return "RSA private key in DER", int(binary.BigEndian.Uint16(b[2:])) + 4
}
