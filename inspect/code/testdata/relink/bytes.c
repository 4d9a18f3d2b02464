#include "kit.h"

static uint32_t crc_table[256];
static int crc_ready;

static void crc_fill(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    crc_table[i] = c;
  }
  crc_ready = 1;
}

uint32_t kit_crc32(const uint8_t *p, size_t n) {
  if (!crc_ready) crc_fill();
  uint32_t c = ~0u;
  while (n--) c = crc_table[(c ^ *p++) & 255] ^ (c >> 8);
  return ~c;
}

uint32_t kit_adler32(const uint8_t *p, size_t n) {
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < n; i++) {
    a = (a + p[i]) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

uint64_t kit_fnv1a(const char *s) {
  uint64_t h = 14695981039346656037u;
  for (; *s; s++) h = (h ^ (uint8_t)*s) * 1099511628211u;
  return h;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t kit_base64_encode(char *dst, const uint8_t *src, size_t n) {
  char *d = dst;
  for (; n >= 3; n -= 3, src += 3) {
    *d++ = alphabet[src[0] >> 2];
    *d++ = alphabet[(src[0] & 3) << 4 | src[1] >> 4];
    *d++ = alphabet[(src[1] & 15) << 2 | src[2] >> 6];
    *d++ = alphabet[src[2] & 63];
  }
  if (n > 0) {
    *d++ = alphabet[src[0] >> 2];
    *d++ = alphabet[(src[0] & 3) << 4 | (n > 1 ? src[1] >> 4 : 0)];
    *d++ = n > 1 ? alphabet[(src[1] & 15) << 2] : '=';
    *d++ = '=';
  }
  return (size_t)(d - dst);
}

static int digit64(char c) {
  for (int i = 0; i < 64; i++)
    if (alphabet[i] == c) return i;
  return -1;
}

long kit_base64_decode(uint8_t *dst, const char *src, size_t n) {
  uint8_t *d = dst;
  uint32_t bits = 0;
  int have = 0;
  for (size_t i = 0; i < n && src[i] != '='; i++) {
    int v = digit64(src[i]);
    if (v < 0) return -1;
    bits = bits << 6 | (uint32_t)v;
    have += 6;
    if (have >= 8) {
      have -= 8;
      *d++ = (uint8_t)(bits >> have);
    }
  }
  return (long)(d - dst);
}

size_t kit_hex_encode(char *dst, const uint8_t *src, size_t n) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < n; i++) {
    dst[2 * i] = digits[src[i] >> 4];
    dst[2 * i + 1] = digits[src[i] & 15];
  }
  return 2 * n;
}

static int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long kit_hex_decode(uint8_t *dst, const char *src, size_t n) {
  for (size_t i = 0; i + 1 < n; i += 2) {
    int high = nibble(src[i]), low = nibble(src[i + 1]);
    if (high < 0 || low < 0) return -1;
    *dst++ = (uint8_t)(high << 4 | low);
  }
  return (long)(n / 2);
}

size_t kit_utf8_length(const char *s) {
  size_t n = 0;
  for (; *s; s++) n += (*s & 0xc0) != 0x80;
  return n;
}

int kit_utf8_valid(const uint8_t *p, size_t n) {
  for (size_t i = 0; i < n;) {
    int more = p[i] < 0x80 ? 0 : p[i] >> 5 == 6 ? 1 : p[i] >> 4 == 14 ? 2 : p[i] >> 3 == 30 ? 3 : -1;
    if (more < 0 || i + (size_t)more >= n) return 0;
    for (i++; more > 0; more--, i++)
      if (p[i] >> 6 != 2) return 0;
  }
  return 1;
}

size_t kit_varint_put(uint8_t *p, uint64_t v) {
  size_t n = 0;
  for (; v >= 0x80; v >>= 7) p[n++] = (uint8_t)v | 0x80;
  p[n++] = (uint8_t)v;
  return n;
}

size_t kit_varint_get(const uint8_t *p, size_t n, uint64_t *v) {
  *v = 0;
  for (size_t i = 0; i < n && i < 10; i++) {
    *v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
    if (p[i] < 0x80) return i + 1;
  }
  return 0;
}

size_t kit_rle(uint8_t *dst, const uint8_t *src, size_t n) {
  uint8_t *d = dst;
  for (size_t i = 0; i < n;) {
    size_t run = 1;
    while (i + run < n && run < 255 && src[i + run] == src[i]) run++;
    *d++ = (uint8_t)run;
    *d++ = src[i];
    i += run;
  }
  return (size_t)(d - dst);
}
