package code

import "math/bits"

// A Fingerprint stands for the set of sequences of four opcodes that occur in
// a function. It is a min-wise hash of one permutation in 64 buckets, of which
// one bit each is kept: two functions whose sets have the share J of their
// sequences in common differ in about 32·(1 − J) bits. Functions of a few
// instructions have too little to tell them apart.
type Fingerprint uint64

// Distance is the number of bits in which two fingerprints differ, from 0 for
// functions of the same sequences of opcodes to about 32 for unrelated ones. Of
// a rebuild with another compiler version it is rarely beyond 12.
func (f Fingerprint) Distance(g Fingerprint) int { return bits.OnesCount64(uint64(f ^ g)) }

// A sketch is a fingerprint being made.
type sketch struct {
	gram uint32     // the last four opcodes, a byte each
	min  [64]uint64 // least hash of each bucket, the bits that tell the bucket included
}

func (s *sketch) reset() {
	s.gram = 0
	for i := range s.min {
		s.min[i] = empty
	}
}

// add takes the next opcode. One multiplication spreads a sequence well enough
// to find a bucket and a least one; what is kept of that is mixed better.
func (s *sketch) add(op byte) {
	s.gram = s.gram<<8 | uint32(op)
	h := (uint64(s.gram) + 1) * 0x9e3779b97f4a7c15
	least := s.min[h>>58]
	if h < least { // no branch: it could not be foretold
		least = h
	}
	s.min[h>>58] = least
}

// mix spreads the bits of a value over all of the result.
func mix(v uint64) uint64 {
	v ^= v >> 32
	v *= 0xd6e8feb86659fd93
	v ^= v >> 32
	v *= 0xd6e8feb86659fd93
	return v ^ v>>32
}

// sum takes one bit of each bucket. An empty bucket takes one of the next bucket
// above that is not empty, and another bit with each step it is away, lest small
// functions be alike because of what they lack. Above the last comes the first.
func (s *sketch) sum() Fingerprint {
	var used uint64
	for i, least := range s.min {
		bit := uint64(1) << i
		if least == empty {
			bit = 0
		}
		used |= bit
	}
	var f uint64
	filled := ^uint64(0) << (64 - bits.LeadingZeros64(used)) // belongs to the first
	for rest := used; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		upTo := ^uint64(0) >> (63 - i)
		// Its highest bit goes to bucket i, the next to the one below.
		taken := bits.RotateLeft64(mix(s.min[i]), i+1)
		if rest == used {
			f |= taken & (upTo | filled)
			filled |= upTo
			continue
		}
		f |= taken & (upTo &^ filled)
		filled |= upTo
	}
	return Fingerprint(f)
}

const empty = ^uint64(0) // in sketch.min
