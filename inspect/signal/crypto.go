package signal

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"hash/crc64"
	"math"
	"math/big"
	"math/bits"
	"slices"
)

// An Algorithm is a cryptographic algorithm or checksum whose constants are in
// the file.
type Algorithm struct {
	Name string `json:"name"`

	// Tables counts the tables of constants in the data, Functions the
	// functions that have the constants in their instructions.
	Tables    int `json:"tables"`
	Functions int `json:"functions"`

	// Places are the first ones, at most maxPlaces.
	Places []Place `json:"places"`
}

// maxPlaces bounds the places kept of one algorithm.
const maxPlaces = 8

// An algo is an index into algorithms.
type algo int

// The algorithms.
const (
	algoAES algo = iota
	algoBlake
	algoBlowfish
	algoCamellia
	algoChaCha
	algoCRC32
	algoCRC32C
	algoCRC64
	algoCryptoNight
	algoCurve25519
	algoDES
	algoDilithium
	algoKeccak
	algoKyber
	algoMD5
	algoP256
	algoPoly1305
	algoRandomX
	algoRSA
	algoSecp256k1
	algoSHA1
	algoSHA256
	algoSHA512
	algoSipHash
	algoSM3
	algoSM4
	algoXXHash
	algoCount
)

// algorithms names them. Need is how many different constants must be in the
// instructions of one function before it counts; 0 means that code is not
// looked at.
var algorithms = [algoCount]struct {
	name string
	need int
}{
	algoAES:         {"AES", 0},
	algoBlake:       {"BLAKE-256", 8},
	algoBlowfish:    {"Blowfish", 0},
	algoCamellia:    {"Camellia", 4},
	algoChaCha:      {"ChaCha/Salsa20", 2},
	algoCRC32:       {"CRC-32", 1},
	algoCRC32C:      {"CRC-32C", 1},
	algoCRC64:       {"CRC-64", 1},
	algoCryptoNight: {"CryptoNight", 1},
	algoCurve25519:  {"Curve25519", 2},
	algoDES:         {"DES", 0},
	algoDilithium:   {"ML-DSA (Dilithium)", 0},
	algoKeccak:      {"Keccak (SHA-3)", 8},
	algoKyber:       {"ML-KEM (Kyber)", 0},
	algoMD5:         {"MD5", 16},
	algoP256:        {"NIST P-256", 2},
	algoPoly1305:    {"Poly1305", 1},
	algoRandomX:     {"RandomX", 4},
	algoRSA:         {"RSA signatures (PKCS #1)", 0},
	algoSecp256k1:   {"secp256k1", 1},
	algoSHA1:        {"SHA-1", 4},
	algoSHA256:      {"SHA-256", 8},
	algoSHA512:      {"SHA-512", 8},
	algoSipHash:     {"SipHash", 4},
	algoSM3:         {"SM3", 4},
	algoSM4:         {"SM4", 0},
	algoXXHash:      {"xxHash", 3},
}

// A use is where an algorithm was seen.
type use struct {
	tables, functions int
	places            []Place
}

func (u *use) add(p Place) {
	i := len(u.places)
	for i > 0 && p.Offset < u.places[i-1].Offset {
		i--
	}
	if i == maxPlaces {
		return
	}
	u.places = append(u.places, p)
	copy(u.places[i+1:], u.places[i:])
	u.places[i] = p
	u.places = u.places[:min(len(u.places), maxPlaces)]
}

func (u *use) merge(o *use) {
	u.tables += o.tables
	u.functions += o.functions
	for _, p := range o.places {
		u.add(p)
	}
}

func (f *Findings) usedAlgorithms() []Algorithm {
	list := []Algorithm{}
	for i, u := range f.algorithms {
		if u.tables+u.functions > 0 {
			list = append(list, Algorithm{algorithms[i].name, u.tables, u.functions, u.places})
		}
	}
	return list
}

// A table is a row of constants as it lies in memory.
type table struct {
	algo  algo // algoCount for one of no interest, but for its entropy
	bytes []byte
	size  int // of all of it, if that is more than what is compared
	what  string
}

// A number is a constant that an instruction may carry. Bit tells the constants
// of one algorithm apart.
type number struct {
	value uint64
	wide  bool // an i64
	algo  algo
	bit   uint8
}

// tables and numbers are computed where there is a rule behind the constants; see
// prepare.
var (
	tables  []table
	numbers []number
)

func makeTables() []table {
	rconKeccak := keccak()
	k256, k512 := sha2()
	iv256, iv512 := sha2IV()
	sbox, inv := aes()
	list := []table{
		{algo: algoAES, bytes: sbox[:]},
		{algo: algoAES, bytes: inv[:]},
		{algo: algoSHA256, bytes: words(k256[:])},
		{algo: algoSHA256, bytes: words(iv256[:])},
		{algo: algoSHA512, bytes: longs(k512[:])},
		{algo: algoSHA512, bytes: longs(iv512[:])},
		{algo: algoKeccak, bytes: longs(rconKeccak[:])[16:]}, // the first are mostly zeros
		{algo: algoMD5, bytes: words(md5())},
		{algo: algoSHA1, bytes: words(sha1IV[:])},
		{algo: algoSHA1, bytes: words(sha1K[:])},
		{algo: algoCRC32, bytes: words(crc32.MakeTable(crc32.IEEE)[1:64])},
		{algo: algoCRC32C, bytes: words(crc32.MakeTable(crc32.Castagnoli)[1:64])},
		{algo: algoCRC64, bytes: longs(crc64.MakeTable(crc64.ECMA)[1:64])},
		{algo: algoCRC64, bytes: longs(crc64.MakeTable(crc64.ISO)[1:64])},
		{algo: algoBlowfish, bytes: words(pi[:])},
		{algo: algoChaCha, bytes: []byte("expand 32-byte k")},
		{algo: algoChaCha, bytes: []byte("expand 16-byte k")},
		{algo: algoSM4, bytes: unhex("d690e9fecce13db716b614c228fb2c052b679a762abe04c3")},
		{algo: algoSM4, bytes: words([]uint32{0x00070e15, 0x1c232a31, 0x383f464d, 0x545b6269, 0x70777e85, 0x8c939aa1})},
		{algo: algoDES, bytes: []byte{57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2}}, // permuted choice 1
		{algo: algoDES, bytes: []byte{14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4}},   // permuted choice 2
		{algo: algoCamellia, bytes: unhex("70822cecb3276fc0e5e4855735ea0cae4123ef6b934519a5")},
		{algo: algoRSA, bytes: unhex("3031300d060960864801650304020105000420")}, // DigestInfo of SHA-256
		{algo: algoCurve25519, bytes: unhex("edd3f55c1a631258d69cf7a2def9de14")},
		{algo: algoCurve25519, bytes: unhex("5866666666666666666666666666666666")},
		{algo: algoP256, bytes: unhex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")},
		{algo: algoSecp256k1, bytes: unhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")},
		{algo: algoSecp256k1, bytes: unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")[14:]},
		{algo: algoKyber, bytes: shorts(-1044, -758, -359, -1517, 1493, 1422, 287, 202, -171, 622, 1577, 182)},
		{algo: algoKyber, bytes: shorts(2571, 2970, 1812, 1493, 1422, 287, 202, 3158, 622, 1577, 182, 962)},
		{algo: algoKyber, bytes: shorts(2285, 2571, 2970, 1812, 1493, 1422, 287, 202, 3158, 622, 1577, 182)},
		{algo: algoDilithium, bytes: words([]uint32{25847, neg(2608894), neg(518909), 237124, neg(777960), neg(876248), 466468})},
		{algo: algoRandomX, bytes: unhex("53a5ac6d096671622b55b5db1749f4b4")},
		{algo: algoRandomX, bytes: unhex("07af7c6d0d716a8478d325174edca10d")},
		{algo: algoRandomX, bytes: unhex("f162123fc67e949f4f79c0f445e3203e")},
		{algo: algoRandomX, bytes: unhex("3581ef6a7c31bab1884c311654911649")},
	}
	// Big numbers lie the other way round where they are kept in limbs.
	for _, t := range list {
		if (t.algo == algoP256 || t.algo == algoSecp256k1) && len(t.bytes) == 32 {
			limbs := slices.Clone(t.bytes)
			slices.Reverse(limbs)
			list = append(list, table{algo: t.algo, bytes: limbs})
		}
	}
	// Powers of five and ten to 128 bits, for reading and writing numbers.
	const numbers = "powers of five"
	list = append(list,
		table{algo: algoCount, bytes: longs([]uint64{0xeef453d6923bd65a, 0x113faa2906a13b3f}), size: 651 * 16, what: numbers},
		table{algo: algoCount, bytes: longs([]uint64{0x1732c869cd60e453, 0xfa8fd5a0081c0288}), size: 696 * 16, what: numbers},
		table{algo: algoCount, bytes: longs([]uint64{0xff77b1fcbebcdc4f, 0x25e8e89c13bb0f7b}), size: 619 * 16, what: numbers},
		table{algo: algoCount, bytes: longs([]uint64{11068046444225730970, 1844674407370955161}), size: 668 * 16, what: numbers})
	// The tables that combine the S-box with the mixing of columns, in the two
	// byte orders and four rotations in use.
	for rotation := 0; rotation < 32; rotation += 8 {
		var te, td [16]uint32
		for i := range te {
			s, v := sbox[i], inv[i]
			te[i] = bits.RotateLeft32(uint32(times(s, 2))<<24|uint32(s)<<16|uint32(s)<<8|uint32(times(s, 3)), -rotation)
			td[i] = bits.RotateLeft32(uint32(times(v, 14))<<24|uint32(times(v, 9))<<16|uint32(times(v, 13))<<8|uint32(times(v, 11)), -rotation)
		}
		list = append(list, table{algo: algoAES, bytes: words(te[:])}, table{algo: algoAES, bytes: words(td[:])})
		for i := range te {
			te[i], td[i] = bits.ReverseBytes32(te[i]), bits.ReverseBytes32(td[i])
		}
		list = append(list, table{algo: algoAES, bytes: words(te[:])}, table{algo: algoAES, bytes: words(td[:])})
	}
	return list
}

func makeNumbers() []number {
	k256, k512 := sha2()
	_, iv512 := sha2IV()
	rc := keccak()
	var list []number
	add32 := func(a algo, values ...uint32) {
		for i, v := range values {
			list = append(list, number{uint64(v), false, a, uint8(i)})
		}
	}
	add64 := func(a algo, first uint8, values ...uint64) {
		for i, v := range values {
			list = append(list, number{v, true, a, first + uint8(i)})
		}
	}
	add32(algoSHA256, k256[:]...)
	add64(algoSHA512, 0, k512[:]...)
	add64(algoSHA512, uint8(len(k512)), iv512[:]...)
	add64(algoKeccak, 0, rc[1:]...) // the first one is 1
	add32(algoMD5, md5()...)
	add32(algoSHA1, sha1K[0], sha1K[1], sha1K[2], sha1K[3], sha1IV[4])
	add32(algoBlake, pi[:16]...)
	add32(algoChaCha, 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574)
	add64(algoChaCha, 4, 0x3320646e61707865, 0x6b20657479622d32)
	add32(algoCRC32, 0xedb88320)
	add32(algoCRC32C, 0x82f63b78)
	add64(algoCRC64, 0, crc64.ECMA, crc64.ISO)
	add64(algoPoly1305, 0, 0x0ffffffc0ffffffc)
	add64(algoSipHash, 0, 0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573)
	add32(algoSM3, 0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e)
	add64(algoCamellia, 0, 0xa09e667f3bcc908b, 0xb67ae8584caa73b2, 0xc6ef372fe94f82be, 0x54ff53a5f1d36f1c,
		0x10e527fade682d1d, 0xb05688c2b3e6c1fd)
	add32(algoXXHash, 2654435761, 2246822519, 3266489917, 668265263, 374761393)
	add64(algoXXHash, 8, 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261)
	// The constant d of Edwards' curve and its double, in limbs of 51 bits.
	add64(algoCurve25519, 0, 929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575,
		1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903)
	// 2^256 mod p and the inverse that reduction by Montgomery uses.
	add64(algoSecp256k1, 0, 0x1000003d1, 0xd838091dd2253531, 0xfffffffefffffc2f)
	add64(algoP256, 0, 0xfffffffeffffffff, 0xccd1c8aaee00bc4f, 0xf3b9cac2fc632551, 0xbce6faada7179e84)
	// The mask of addresses in a scratchpad of 2 MiB.
	add32(algoCryptoNight, 0x1ffff0)
	for i, v := range randomXKeys {
		list = append(list, number{uint64(v), false, algoRandomX, uint8(i)})
	}
	return list
}

// randomXKeys are the round keys with which RandomX fills its scratchpad.
var randomXKeys = [...]uint32{
	0x6daca553, 0x62716609, 0xdbb5552b, 0xb4f44917, 0x6d7caf07, 0x846a710d, 0x1725d378, 0x0da1dc4e,
	0x3f1262f1, 0x9f947ec6, 0xf4c0794f, 0x3e20e345, 0x6aef8135, 0xb1ba317c, 0x16314c88, 0x49169154,
}

var (
	sha1K  = [...]uint32{0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6}
	sha1IV = [...]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}

	// pi begins the fraction of the number, as Blowfish and BLAKE use it.
	pi = [...]uint32{
		0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89, 0x452821e6,
		0x38d01377, 0xbe5466cf, 0x34e90c6c, 0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917, 0x9216d5d9, 0x8979fb1b,
	}
)

// md5 computes the sines of RFC 1321, section 3.4.
func md5() []uint32 {
	t := make([]uint32, 64)
	for i := range t {
		t[i] = uint32(math.Floor(math.Abs(math.Sin(float64(i+1))) * (1 << 32)))
	}
	return t
}

// sha2 computes the fractions of the cube roots of the first primes (FIPS 180-4,
// section 4.2).
func sha2() (k256 [64]uint32, k512 [80]uint64) {
	for i, p := range primes(len(k512)) {
		k512[i] = fraction(p, 3)
		if i < len(k256) {
			k256[i] = uint32(k512[i] >> 32)
		}
	}
	return k256, k512
}

// sha2IV computes the fractions of the square roots of the first primes (FIPS
// 180-4, section 5.3).
func sha2IV() (iv256 [8]uint32, iv512 [8]uint64) {
	for i, p := range primes(len(iv512)) {
		iv512[i] = fraction(p, 2)
		iv256[i] = uint32(iv512[i] >> 32)
	}
	return iv256, iv512
}

// fraction gives the first 64 bits of the fraction of a root of p, found by
// bisection of the integers below 2^80.
func fraction(p int64, degree int64) uint64 {
	target := new(big.Int).Lsh(big.NewInt(p), uint(64*degree))
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 80)
	one, exponent := big.NewInt(1), big.NewInt(degree)
	for new(big.Int).Sub(high, low).Cmp(one) > 0 {
		mid := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if new(big.Int).Exp(mid, exponent, nil).Cmp(target) <= 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return new(big.Int).And(low, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
}

func primes(n int) []int64 {
	list := make([]int64, 0, n)
next:
	for p := int64(2); len(list) < n; p++ {
		for _, q := range list {
			if p%q == 0 {
				continue next
			}
		}
		list = append(list, p)
	}
	return list
}

// keccak computes the round constants of FIPS 202, section 3.2.5.
func keccak() (rc [24]uint64) {
	r := byte(1)
	for i := range rc {
		for j := range 7 {
			if r&1 != 0 {
				rc[i] |= 1 << (1<<j - 1)
			}
			r = r<<1 ^ r>>7*0x71
		}
	}
	return rc
}

// aes computes the substitution of FIPS 197, section 5.1.1, and its inverse.
func aes() (sbox, inv [256]byte) {
	p, q := byte(1), byte(1)
	for {
		p = times(p, 3)
		q ^= q << 1 // divided by 3
		q ^= q << 2
		q ^= q << 4
		if q&0x80 != 0 {
			q ^= 0x09
		}
		sbox[p] = q ^ bits.RotateLeft8(q, 1) ^ bits.RotateLeft8(q, 2) ^ bits.RotateLeft8(q, 3) ^ bits.RotateLeft8(q, 4) ^ 0x63
		if p == 1 {
			break
		}
	}
	sbox[0] = 0x63
	for i, s := range sbox {
		inv[s] = byte(i)
	}
	return sbox, inv
}

// times multiplies in the field of AES.
func times(a, b byte) (p byte) {
	for ; b != 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		a = a<<1 ^ a>>7*0x1b
	}
	return p
}

func words(list []uint32) []byte {
	b := make([]byte, 0, 4*len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func longs(list []uint64) []byte {
	b := make([]byte, 0, 8*len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func shorts(list ...int16) []byte {
	b := make([]byte, 0, 2*len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func neg(v uint32) uint32 { return -v }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("signal: " + err.Error()) // a constant of this file
	}
	return b
}
