// Two kernels that live on what CPU levels differ in: rotations, which BMI2 does
// without flags, and counts of bits, which are one instruction since v2.
//
//   kernel sha|bits

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t k[64];

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

// block is the compression of SHA-256. Its constants are made up: the work is the
// same.
static void block(uint32_t h[8], const uint32_t in[16]) {
  uint32_t w[64], s[8];
  memcpy(w, in, 64);
  memcpy(s, h, 32);
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) + w[i - 7] + (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
  }
  for (int i = 0; i < 64; i++) {
    uint32_t t1 = s[7] + (rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
    uint32_t t2 = (rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 28);
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) h[i] += s[i];
}

static uint32_t sha(int blocks) {
  uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, 8}, in[16];
  for (int i = 0; i < 64; i++) k[i] = (uint32_t)(i + 1) * 2654435761u;
  for (int i = 0; i < blocks; i++) {
    for (int j = 0; j < 16; j++) in[j] = (uint32_t)(i * 16 + j);
    block(h, in);
  }
  return h[0];
}

static uint32_t bits(int rounds) {
  uint64_t x = 88172645463325252u;
  uint32_t sum = 0;
  for (int i = 0; i < rounds; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    sum += (uint32_t)(__builtin_popcountll(x) + __builtin_clzll(x | 1) * 3 + __builtin_ctzll(x | 1ull << 63) * 5);
  }
  return sum;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  printf("%08x\n", (unsigned)(strcmp(argv[1], "sha") == 0 ? sha(32 << 20 >> 6) : bits(50000000)));
  return 0;
}
